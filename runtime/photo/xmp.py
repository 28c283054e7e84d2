"""XMP packets: the orientation in one, and the mark of an edited picture.

The mark is IPTC's DigitalSourceType for a photograph that a trained model changed (IPTC Photo Metadata Standard 2025.1,
which also names the tool and its version; ISO 16684-1 for the form).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from edgedrag.runtime.extras import PACKAGE

if TYPE_CHECKING:
    from xml.dom import minidom

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
XMP = "http://ns.adobe.com/xap/1.0/"
EDITED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)([0-9])(?=\s*[\"'<])")
NESTING = 100  # elements in one another that a packet may have
EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta><?xpacket end="w"?>'
)


def is_sound(xmp: bytes) -> bool:
    """Whether a packet is XML with an RDF element, without a document type, which XMP may not have."""
    depth, rdf = 0, False

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal depth, rdf
        depth += 1
        rdf |= name == f"{RDF} RDF"
        if depth > NESTING:
            raise ValueError("nested too deep")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(xmp.strip(b"\0"), True)
    except (expat.ExpatError, ValueError):
        return False
    return rdf


def upright(xmp: bytes) -> tuple[bytes, int | None]:
    """The same packet with orientation 1, and the one that it had, 1 to 8; None where it had none."""
    found = ORIENTATION.search(xmp)
    value = int(found[2]) if found else 0
    return ORIENTATION.sub(rb"\g<1>1", xmp), value if 1 <= value <= 8 else None


def marked(xmp: bytes | None) -> bytes:
    """A packet, or a new one, that says that a trained model changed the picture; all else in it stays.

    Args:
        xmp: a packet that `is_sound`.
    """
    from xml.dom import minidom  # here: only saving needs it

    document = minidom.parseString(xmp.strip(b"\0") if xmp else EMPTY.encode())
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    for name in ("DigitalSourceType", "AISystemUsed", "AISystemVersionUsed"):
        _remove(rdf, IPTC, name)
    description = document.createElementNS(RDF, "rdf:Description")
    values = {"xmlns:rdf": RDF, "rdf:about": _about(rdf), "xmlns:Iptc4xmpExt": IPTC}
    values |= {"Iptc4xmpExt:DigitalSourceType": EDITED, "Iptc4xmpExt:AISystemUsed": PACKAGE}
    version = _version()
    if version:
        values["Iptc4xmpExt:AISystemVersionUsed"] = version
    if not _has(rdf, XMP, "CreatorTool"):
        values |= {"xmlns:xmp": XMP, "xmp:CreatorTool": f"{PACKAGE} {version}".strip()}
    for name, value in values.items():
        description.setAttribute(name, value)
    rdf.appendChild(description)
    return "".join(node.toxml() for node in document.childNodes).encode("utf-8")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(PACKAGE)
    except PackageNotFoundError:  # run from its source
        return ""


def _about(rdf: minidom.Element) -> str:
    """What the packet's descriptions are about; all of one packet are about the same."""
    for description in rdf.getElementsByTagNameNS(RDF, "Description"):
        if description.hasAttributeNS(RDF, "about"):
            return str(description.getAttributeNS(RDF, "about"))
    return ""


def _has(rdf: minidom.Element, space: str, name: str) -> bool:
    descriptions = rdf.getElementsByTagNameNS(RDF, "Description")
    return bool(rdf.getElementsByTagNameNS(space, name)) or any(d.hasAttributeNS(space, name) for d in descriptions)


def _remove(rdf: minidom.Element, space: str, name: str) -> None:
    for element in rdf.getElementsByTagNameNS(space, name):
        parent = element.parentNode
        assert parent is not None, "below the root"
        parent.removeChild(element)
    for description in rdf.getElementsByTagNameNS(RDF, "Description"):
        if description.hasAttributeNS(space, name):
            description.removeAttributeNS(space, name)
