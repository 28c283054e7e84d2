"""What lies around the pixels: kept where it can be, left out in words where it cannot."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo import exif as exif_data
from edgedrag.runtime.photo import xmp as xmp_packet
from edgedrag.runtime.photo.encode import encode
from edgedrag.runtime.photo.exif import Directory, Entry, read_directory, write_exif
from edgedrag.runtime.photo.picture import Picture, load_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ALL = (".png", ".jpg", ".webp", ".tif", ".avif")
NEW = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF>'
TIFF = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'


def encoded(suffix: str, picture: Picture) -> tuple[Picture, tuple[str, ...]]:
    """A picture saved and opened again, and what was left out."""
    data, left_out = encode(Path("a" + suffix), picture, True)
    return load_picture(data), left_out


def jpeg(*segments: bytes, array: np.ndarray = PIXELS, **options: object) -> bytes:
    """A JPEG file with segments behind its first marker."""
    out = io.BytesIO()
    Image.fromarray(array).save(out, "JPEG", **options)
    return out.getvalue()[:2] + b"".join(segments) + out.getvalue()[2:]


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def png(*chunks: tuple[bytes, bytes], mode: str = "RGB") -> bytes:
    """A PNG file with chunks behind its header."""
    out = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(out, "PNG")
    written = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    return out.getvalue()[:33] + b"".join(written) + out.getvalue()[33:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", ALL)
def test_values_of_every_type_are_written_as_they_were(suffix: str, order: str) -> None:
    """Of every type, in tags where no camera would put it: nothing interprets them."""
    entries = [Entry(0xC000 + type_, type_, 3, bytes(range(1, 1 + 3 * size)))
               for type_, size in exif_data.TYPE_BYTES.items()]  # fmt: skip
    comment = Entry(0x9286, 5, 1, b"\xff" * 8)
    exif = write_exif(Directory([Entry(0x010F, 2, 7, b"camera\0")], {0x8769: Directory([*entries, comment])}), order)
    again, left_out = encoded(suffix, Picture(PIXELS, exif=exif))
    assert not left_out and again.exif is not None
    child = read_directory(again.exif).children[0x8769]
    assert [(e.tag, e.type, bytes(e.value)) for e in child.entries] == [
        (e.tag, e.type, e.value) for e in sorted([*entries, comment], key=lambda e: e.tag)
    ]


def test_the_orientation_is_all_that_changes_and_the_thumbnail_goes() -> None:
    out = io.BytesIO()
    Image.fromarray(PIXELS[:8, :8]).save(out, "JPEG")
    first = write_exif(Directory([Entry(exif_data.ORIENTATION, 3, 1, b"\x06\0")]), "<")
    second = Directory([Entry(0x0201, 4, 1, b""), Entry(0x0202, 4, 1, struct.pack("<I", len(out.getvalue())))])
    second.entries[0].value = struct.pack("<I", len(first) + 30)
    linked = first[:-4] + struct.pack("<I", len(first))
    exif = linked + exif_data.write_directory(second, "<", len(first)) + out.getvalue()
    picture = load_picture(jpeg(segment(0xE1, b"Exif\0\0" + exif)))
    assert picture.pixels.shape == (30, 20, 3) and picture.exif is not None and not picture.warnings
    assert exif_data.upright(picture.exif)[1] == 1 and read_directory(picture.exif).next == 0
    assert len(picture.exif) == len(exif) and b"\xff\xd8" not in picture.exif


@pytest.mark.parametrize("exif", [b"", b"II*\0", b"what is this", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_damaged_exif_is_left_out(exif: bytes) -> None:
    picture = load_picture(png((b"eXIf", exif)))
    assert np.array_equal(picture.pixels, PIXELS)
    for suffix in ALL:
        encoded(suffix, picture)
    assert picture.exif is None or read_directory(picture.exif).entries == []


def test_overlapping_values_do_not_make_small_data_large() -> None:
    count = 5000
    entries = b"".join(struct.pack("<HHII", 0x9000 + n, 7, 60000, 8) for n in range(count))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4)
    picture = load_picture(png((b"eXIf", exif)))
    assert picture.exif is None and picture.warnings == ("photo: its EXIF data is damaged and is left out",)


def test_exif_too_long_for_jpeg_loses_its_largest_values_in_order() -> None:
    values = [Entry(0x9286, 7, 40000, bytes(40000)), Entry(0x927C, 7, 60000, bytes(60000))]
    exif = write_exif(Directory([Entry(0x010F, 2, 7, b"camera\0")], {0x8769: Directory(values)}), "<")
    again, left_out = encoded(".jpg", Picture(PIXELS, exif=exif))
    assert left_out == (f"a.jpg: MakerNote of its {len(exif)} bytes of EXIF data is left out: JPEG cannot hold it",)
    assert again.exif is not None and b"camera" in again.exif and len(again.exif) > 40000


@pytest.mark.parametrize(
    ("packet", "exif_orientation", "expected"),
    [
        (f'<rdf:Description {TIFF} tiff:Orientation="6"/>', None, 6),
        (f"<rdf:Description {TIFF}><tiff:Orientation>8</tiff:Orientation></rdf:Description>", None, 8),
        (f'<rdf:Description {TIFF} tiff:Orientation="6"/>', 3, 3),
        (f'<rdf:Description {TIFF} tiff:Orientation="6"/>', 1, 1),
        (f'<rdf:Description {TIFF} tiff:Orientation="9"/>', None, 1),
    ],
)
def test_the_orientation_is_exifs_unless_there_is_only_xmps(
    packet: str, exif_orientation: int | None, expected: int
) -> None:
    segments = [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + NEW.format(packet).encode())]
    if exif_orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = exif_orientation
        segments.append(segment(0xE1, exif.tobytes()))
    picture = load_picture(jpeg(*segments))
    straight = load_picture(jpeg())
    turn = {1: lambda p: p, 3: lambda p: np.rot90(p, 2), 6: lambda p: np.rot90(p, 3), 8: lambda p: np.rot90(p, 1)}
    assert np.array_equal(picture.pixels, turn[expected](straight.pixels))
    again, _ = encoded(".png", picture)
    assert np.array_equal(again.pixels, picture.pixels), "not turned twice"


def test_an_edited_picture_is_marked_beside_the_xmp_that_it_has() -> None:
    old = NEW.format(
        '<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="Ada" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="a camera" xmlns:i="'
        f'{xmp_packet.IPTC}" i:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"/>'
    ).encode()
    for suffix in ALL:
        for before in (None, old):
            again, left_out = encoded(suffix, Picture(PIXELS, xmp=before, edited=True))
            assert not left_out and again.xmp is not None and xmp_packet.is_sound(again.xmp)
            assert again.xmp.count(b"DigitalSourceType=") == 1 and xmp_packet.EDITED.encode() in again.xmp
            assert b'AISystemUsed="edgedrag"' in again.xmp
            if before is not None:
                assert b'dc:creator="Ada"' in again.xmp and b'xmp:CreatorTool="a camera"' in again.xmp
                assert again.xmp.count(b'about="uuid:1"') == 2, "both descriptions are of one thing"
            twice, _ = encoded(suffix, Picture(PIXELS, xmp=again.xmp, edited=True))
            assert twice.xmp is not None and twice.xmp.count(b"DigitalSourceType=") == 1
    assert encoded(".png", Picture(PIXELS, xmp=old))[0].xmp == old, "what was not edited stays byte for byte"


@pytest.mark.parametrize(
    "packet",
    [b"", b"<x", b"<x/>", b'<!DOCTYPE a [<!ENTITY b "c">]>' + NEW.format("&b;").encode(), b"<a>" * 5000, b"\xff\xfe"],
)
def test_xmp_that_is_none_is_left_out(packet: bytes) -> None:
    picture = load_picture(png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)))
    assert picture.xmp is None
    assert [w for w in picture.warnings if "XMP is damaged" in w] or not packet
    assert b"CreatorTool" in (encoded(".jpg", Picture(PIXELS, xmp=packet, edited=True))[0].xmp or b"")


def test_xmp_too_long_for_jpeg_is_left_out_and_the_mark_is_written() -> None:
    long = NEW.format(f'<rdf:Description xmlns:a="a:" a:b="{"x" * 70000}"/>').encode()
    again, left_out = encoded(".jpg", Picture(PIXELS, xmp=long, edited=True))
    assert "bytes is left out: JPEG cannot hold it" in left_out[0]
    assert again.xmp is not None and xmp_packet.EDITED.encode() in again.xmp


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (b"not a profile", "is damaged"),
        (ICC[:200], "is damaged"),
        (ICC[:16] + b"CMYK" + ICC[20:], "is for CMYK values"),
        (ICC[:16] + b"GRAY" + ICC[20:], "is for grey values"),
        (ICC[:128] + bytes(len(ICC) - 128), "is damaged"),
    ],
)
def test_a_profile_that_cannot_be_used_is_left_out_when_loading(profile: bytes, words: str) -> None:
    for data in (
        png((b"iCCP", b"x\0\0" + zlib.compress(profile))),
        jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1" + profile)),
    ):
        picture = load_picture(data)
        assert picture.icc is None and picture.warnings == (f"photo: its colour profile {words} and is left out",)


def test_a_profile_of_several_segments_and_a_missing_one() -> None:
    parts = [segment(0xE2, b"ICC_PROFILE\0" + bytes((n + 1, 3)) + ICC[n * 200 :][: 200 if n < 2 else None])
             for n in range(3)]  # fmt: skip
    assert load_picture(jpeg(parts[2], parts[0], parts[1])).icc == ICC
    picture = load_picture(jpeg(parts[0], parts[2]))
    assert picture.icc is None and "lacks a part" in picture.warnings[0]
    long = Picture(PIXELS, icc=None, exif=None)
    assert encoded(".jpg", long)[0].icc is None


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 100}])
def test_a_jpeg_that_lacks_its_end_alone_is_opened(options: dict[str, object]) -> None:
    large = np.random.default_rng(1).integers(0, 256, (70, 90, 3), np.uint8)
    whole = jpeg(array=large, **options)
    expected = load_picture(whole).pixels
    for data in (whole[:-1], whole[:-2]):
        picture = load_picture(data)
        assert np.array_equal(picture.pixels, expected) and picture.warnings == ("photo: its end marker is missing",)
    for cut in (40, 200, 1000):
        with pytest.raises(InputError, match="cut short"):
            load_picture(whole[:-cut])


def test_png_faults_outside_the_pixels() -> None:
    whole = png((b"gAMA", b"\0\0"), (b"pHYs", bytes(9)), (b"tRNS", b"\0"), (b"zTXt", b"key\0\0junk"), (b"abCd", b"?"))
    assert [w.partition("its ")[2].partition(" ")[0] for w in load_picture(whole).warnings] == [
        "gAMA", "resolution", "text", "transparency",
    ]  # fmt: skip
    for cut in (12, 11, 4, 1):
        picture = load_picture(png()[:-cut])
        assert np.array_equal(picture.pixels, PIXELS) and picture.warnings == ("photo: its end is missing",)
    with pytest.raises(InputError, match="cut short"):
        load_picture(png()[:-20])


def test_png_text_and_resolution_travel_to_png_and_are_named_elsewhere() -> None:
    info = PngInfo()
    info.add_text("Author", "Ada")
    info.add_itxt("Title", "An afternoon", zip=True)
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, "PNG", pnginfo=info, dpi=(300, 150))
    picture = load_picture(out.getvalue())
    again, left_out = encoded(".png", picture)
    assert not left_out and again.png_chunks == picture.png_chunks and again.density == (11811, 5906, 1)
    for suffix in (".jpg", ".webp", ".tif", ".avif"):
        data, left_out = encode(Path("a" + suffix), picture, True)
        assert left_out[0].startswith(f"a{suffix}: its text (Author, Title) is left out")
        with Image.open(io.BytesIO(data)) as image:
            dpi = image.info.get("dpi")
            if suffix in (".webp", ".avif"):  # in the EXIF data, a centimetre
                dpi = tuple(float(image.getexif()[tag]) * 2.54 for tag in (0x011A, 0x011B))
            assert dpi == pytest.approx((300, 150), rel=0.001)
    turned, _ = encoded(".jpg", Picture(PIXELS, density=(2, 1, 0)))
    assert turned.density == (2, 1, 0)
