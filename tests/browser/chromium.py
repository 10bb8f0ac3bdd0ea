"""Drives headless Chromium by the DevTools protocol through a pipe, without port, driver or package."""

import base64, json, os, pathlib, shutil, subprocess, tempfile, time


class Browser:
    """with Browser() as b: b.open(path); b.run("document.title"); b.errors, b.requests hold what went wrong
    and what was fetched."""

    def __init__(self, program=None):
        self.program = (
            program
            or os.environ.get("CHROMIUM")
            or shutil.which("chromium")
            or shutil.which("chromium-browser")
        )
        self.errors, self.requests, self.serial, self.loaded = [], [], 0, False

    def __enter__(self):
        self.home = tempfile.mkdtemp()
        to_read, self.to = os.pipe()
        self.back, from_write = os.pipe()

        def place():
            os.dup2(to_read, 3), os.dup2(from_write, 4)  # where --remote-debugging-pipe looks for them

        to_read, from_write = (os.dup2(fd, fd + 40) for fd in (to_read, from_write))
        self.process = subprocess.Popen(
            [
                self.program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
                f"--user-data-dir={self.home}",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--hide-scrollbars",
            ],
            pass_fds=(3, 4, to_read, from_write),
            preexec_fn=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        self.rest = b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(domain + ".enable")
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
        except (OSError, EOFError):
            pass
        self.process.wait(timeout=20)
        shutil.rmtree(self.home, ignore_errors=True)

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.back, 1 << 16)
            if not more:
                raise EOFError("Chromium is gone")
            self.rest += more
        one, self.rest = self.rest.split(b"\0", 1)
        said = json.loads(one)
        what = said.get("params", {})
        if said.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(what["exceptionDetails"])[:600])
        if said.get("method") == "Log.entryAdded":
            self.errors.append(json.dumps(what["entry"])[:600])
        if said.get("method") == "Runtime.consoleAPICalled" and what["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.errors.append(json.dumps(what)[:600])
        if said.get("method") == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        if said.get("method") == "Page.loadEventFired":
            self.loaded = True
        return said

    def call(self, method, session=None, **parameters):
        self.serial += 1
        one = {"id": self.serial, "method": method, "params": parameters}
        if session:
            one["sessionId"] = session
        os.write(self.to, json.dumps(one).encode() + b"\0")
        while (said := self.message()).get("id") != one["id"]:
            pass
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']}")
        return said["result"]

    def tell(self, method, **parameters):
        return self.call(method, self.session, **parameters)

    def open(self, path):
        """The page, loaded; milliseconds from navigation to the end of the load event, by the page's own
        clock."""
        self.loaded = False
        self.tell("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        while not self.loaded:
            self.message()
        return self.run("performance.getEntriesByType('navigation')[0].loadEventStart")

    def run(self, script):
        result = self.tell("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {json.dumps(result['exceptionDetails'])[:500]}")
        return result["result"].get("value")

    def key(self, name):
        codes = {
            "Enter": 13,
            "Escape": 27,
            "ArrowLeft": 37,
            "ArrowUp": 38,
            "ArrowRight": 39,
            "ArrowDown": 40,
            "Tab": 9,
        }
        text = {"Enter": "\r"}.get(name, name if len(name) == 1 else "")
        for kind in ("keyDown", "keyUp"):
            self.tell(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                windowsVirtualKeyCode=codes.get(name, ord(name[0])),
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def click(self, selector):
        x, y = self.run(
            f"(() => {{ const at = document.querySelector({json.dumps(selector)}); "
            f"at.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}}); const r = "
            f"at.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def size(self, width, height, phone=False):
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    def dark(self, on):
        self.tell(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}],
        )

    def wait(self, done, what):
        """Up to 10 s, until done() is true."""
        end = time.monotonic() + 10
        while not done():
            assert time.monotonic() < end, f"the page shows no {what}"
            time.sleep(0.02)

    def picture(self, path, whole=False):
        pathlib.Path(path).write_bytes(
            base64.b64decode(
                self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
            )
        )
