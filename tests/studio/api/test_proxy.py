"""The station behind nginx, with the configuration of docs/kiosk.md."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from conftest import EXAMPLES, REPOSITORY
from stations import PULL, ask, opened, picture
from websockets.sync.client import connect

from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.errors import InputError
from edgedrag.studio.api.wrong_codes import MAX_WAITING

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-many-letters"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
ROOT = "/retouch"


@dataclass(frozen=True)
class Proxy:
    """A running nginx before a station."""

    kiosk: Kiosk
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}{ROOT}"

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, verify=self.trust, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        )

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "kiosk.pem"))


def documented() -> list[str]:
    """The configurations of docs/kiosk.md: of the whole station, and of links alone."""
    return re.findall(r"```nginx\n(.*?)```", (REPOSITORY / "docs" / "kiosk.md").read_text(), re.DOTALL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def configuration(folder: Path, text: str, changes: dict[str, str]) -> str:
    """A documented one, with paths and ports of the test, as nginx.conf."""
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    main = f"daemon off; pid {folder}/pid; error_log {folder}/error.log warn; events {{}}"
    return f"{main}\nhttp {{\naccess_log off;\n{places}\n{text}\n}}\n"


@contextmanager
def nginx(folder: Path, port: int, text: str, changes: dict[str, str]) -> Iterator[None]:
    """A running nginx with a documented configuration."""
    if NGINX is None:
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, text, changes))
    with subprocess.Popen([NGINX, "-p", str(folder), "-c", str(file)], stderr=subprocess.DEVNULL) as running:
        until = time.monotonic() + 20
        while time.monotonic() < until and running.poll() is None:
            with socket.socket() as line:
                if not line.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield
        running.terminate()


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    if NGINX is None:
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    with Kiosk(tmp_path_factory.mktemp("station"), "--token", TOKEN, "--root-path", ROOT) as running:
        yield running


@pytest.fixture(scope="module", params=[False, True], ids=["as documented", "the proxy strips the root path"])
def proxy(request: Any, kiosk: Kiosk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    certificate += ["-addext", "subjectAltName=DNS:localhost", "-keyout", "kiosk.key", "-out", "kiosk.pem"]
    subprocess.run(certificate, cwd=folder, check=True, capture_output=True)
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/certs/kiosk.pem": str(folder / "kiosk.pem"),
        "/etc/ssl/private/kiosk.key": str(folder / "kiosk.key"),
        "http://127.0.0.1:8000;": f"http://127.0.0.1:{kiosk.port}{'/' if request.param else ''};",
    }
    with nginx(folder, port, documented()[0], changes):
        yield Proxy(kiosk, port, folder)


def test_links_of_a_kiosk_reach_phones_and_nothing_else_does(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "studio.toml").write_text(f'share_address = "http://127.0.0.1:{port}"\n')
    with Kiosk(tmp_path / "state", "--config", str(tmp_path / "studio.toml")) as screen:
        changes = {"listen 80;": f"listen {port};", "127.0.0.1:8000;": f"127.0.0.1:{screen.port};"}
        with nginx(tmp_path, port, documented()[1], changes), httpx.Client(base_url=screen.url, timeout=30) as client:
            path = opened(client)
            link = client.post(f"{path}/share").json()["url"]
            phone = {"Host": "192.168.1.20"}
            assert picture(httpx.get(link, headers=phone).content).shape == (400, 600, 3)
            for elsewhere in ("/", "/api/about", f"{path}/picture", "/staff", "/take/../api/about"):
                assert httpx.get(f"http://127.0.0.1:{port}{elsewhere}", headers=phone).status_code == 404, elsewhere


def test_a_visit_through_the_proxy(proxy: Proxy) -> None:
    with proxy.client() as client:
        page = client.get("/")
        assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]
        for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert client.get(f"/{name}").status_code == 200, name
        assert httpx.get(f"{proxy.url}/api/about", verify=proxy.trust).status_code == 401
        path = opened(client)
        address = f"{proxy.url.replace('https', 'wss')}{path}/live"
        origin, protocols = f"https://localhost:{proxy.port}", ["edgedrag", f"bearer.{TOKEN}"]
        with connect(address, ssl=proxy.trust, origin=origin, subprotocols=protocols, max_size=None) as live:
            assert ask(live, "preview", 1, drags=PULL)["type"] == "preview"
            assert ask(live, "edit", 2, drags=PULL)["type"] == "result"
        edited = picture(client.get(f"{path}/picture").content)
        assert edited.shape == (400, 600, 3)
        foreign = {"Origin": "https://evil.example"}
        assert client.post("/api/sessions", headers=foreign).status_code == 403
        own = {"Origin": f"https://localhost:{proxy.port}"}
        assert client.post("/api/sessions", headers=own).status_code == 201


def test_the_default_port_of_https_is_none(proxy: Proxy) -> None:
    """As a browser sends it that reads the station at https://kiosk.example/retouch/."""
    with proxy.client() as client:
        for host, origin in (
            ("kiosk.example", "https://kiosk.example"),
            ("kiosk.example:443", "https://kiosk.example"),
        ):
            assert client.post("/api/sessions", headers={"Host": host, "Origin": origin}).status_code == 201


def test_large_photos_lie_on_no_disk_and_larger_ones_are_refused(proxy: Proxy) -> None:
    with proxy.client() as client:
        path = opened(client)
        send = {"Content-Type": "image/png"}
        answer = client.put(f"{path}/photo", content=b"\x89PNG\r\n\x1a\n" * 4_200_000, headers=send)
        assert answer.status_code == 413
        noise = np.random.default_rng(1).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
        path = opened(client, cv2.imencode(".png", noise)[1].tobytes())
        assert len(client.get(f"{path}/picture").content) > 10_000_000
    log = (proxy.folder / "error.log").read_text()
    assert "temporary file" not in log, "nginx warns of what it buffers on disk"


def test_wrong_staff_codes_of_one_tablet_do_not_slow_another(proxy: Proxy) -> None:
    """The station believes the proxy, which is on the same machine, in who asks."""
    health = f"{ROOT}/api/staff/health"
    direct = httpx.Client(base_url=f"http://127.0.0.1:{proxy.kiosk.port}", timeout=60)
    with direct as tablets, proxy.client() as client:
        tablet = {"X-Forwarded-For": f"192.0.2.{proxy.port % 250}", "Authorization": "Bearer wrong"}
        assert [tablets.get(health, headers=tablet).status_code for _ in range(10)] == [401] * 10
        with ThreadPoolExecutor(2 * MAX_WAITING) as pool:

            def at_once(of: httpx.Client, path: str, headers: dict[str, str]) -> list[int]:
                asked = [pool.submit(of.get, path, headers=headers) for _ in range(2 * MAX_WAITING)]
                return [answer.result().status_code for answer in asked]

            assert at_once(client, "/api/staff/health", proxy.kiosk.staff) == [200] * (2 * MAX_WAITING)
            assert 429 in at_once(tablets, health, tablet), "each waits, and no more than MAX_WAITING do"


@dataclass(frozen=True)
class Tablet:
    """A browser that trusts the test's certificate and was given the token."""

    running: Any

    def new_context(self, **options: Any) -> Any:
        # Chromium fetches a service worker's script without the exception for the certificate.
        context = self.running.new_context(ignore_https_errors=True, service_workers="block", **options)
        context.add_init_script(f"sessionStorage.setItem('token', '{TOKEN}')")
        return context


def test_the_page_works_below_the_root_path(proxy: Proxy) -> None:
    try:
        with browser() as running:
            visitor = Visitor(Tablet(running), proxy.url)
            visitor.open(EXAMPLES / "coffee.png", 600, 400)
            visitor.edit((365, 285), (378, 303))
            assert not visitor.complaints
            visitor.page.goto(f"{proxy.url}/staff")
            visitor.page.wait_for_selector("input[type=password]")
            assert not visitor.complaints
    except InputError as missing:
        pytest.skip(str(missing))
