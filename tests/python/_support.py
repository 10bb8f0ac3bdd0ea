"""Common code of the Python tests: running bertc, emitted libraries through ctypes, skipping, comparing."""

import atexit, ctypes, functools, json, os, pathlib, subprocess, sys
import numpy as np

SOURCE = pathlib.Path(os.environ["SOURCE"])
BERTC = os.environ["BERTC"]
TMP = pathlib.Path(os.environ["TMP"])
SHARED = pathlib.Path(os.environ["SHARED"]) if os.environ.get("SHARED") else None
FULL = bool(os.environ.get("FULL"))
sys.path.insert(0, str(SOURCE / "tests" / "golden"))


def skip(why):
    print(why)
    sys.exit(77)


def need_shared():
    if not SHARED:
        skip("no shared models beside the repository")


def run(*args, check=True, **more):
    return checked(subprocess.run([str(a) for a in args], capture_output=True, **more), check)


def checked(p, check):
    if check and p.returncode:
        raise SystemExit(
            f"{p.args}: exit {p.returncode}\n{p.stdout.decode(errors='replace')[-2000:]}\n"
            f"{p.stderr.decode(errors='replace')[-4000:]}"
        )
    return p


@functools.cache
def forks():
    """The process whose forks are the commands of bertc(); None: it is not built, or older than bertc."""
    folder = pathlib.Path(os.environ["BUILD"])
    path = folder / "bertc_forks"
    changed = lambda file: file.stat().st_mtime
    if folder / "bertc" != pathlib.Path(BERTC) or not path.exists():
        return None
    if any(changed(library) > changed(path) for library in folder.glob("lib*.a")):
        return None
    p = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(p.communicate)
    return p


def bertc(*args, check=True):
    """run(BERTC, ...) for commands that compile nothing. With bertc_forks it takes a tenth of the time."""
    server, words = forks(), [str(a) for a in args]
    if not server:
        return run(BERTC, *words, check=check)
    files = [TMP / "bertc.stdout", TMP / "bertc.stderr"]
    line = "\t".join(map(str, files + words))
    assert "\n" not in line and len(words) + 2 == len(line.split("\t")), words
    server.stdin.write(line.encode() + b"\n")
    server.stdin.flush()
    status = os.waitstatus_to_exitcode(int(server.stdout.readline()))
    out, err = (f.read_bytes() for f in files)
    for f in files:
        f.unlink()
    return checked(subprocess.CompletedProcess(["bertc", *words], status, out, err), check)


def build(model, out, *options):
    command = ("build", model, "-o", out, "--quiet", *options)
    if {"--emit=bir", "--emit=checkpoint"} & set(options):
        bertc(*command)
    else:
        run(BERTC, *command)
    return out


def set_keys(path, **keys):
    """Changes keys of a JSON file; None removes a key."""
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({k: v for k, v in (old | keys).items() if v is not None}))


class Library:
    """An emitted shared library: `Library(build(dir, TMP / "m.so", "--emit=shared", "--name=m"), "m")`."""

    def __init__(self, path, name, threads=1):
        self.l = ctypes.CDLL(str(path))
        self.name = name
        self.f("new").restype = ctypes.c_void_p
        for f in ("label", "output", "strerror", "why", "about"):
            self.f(f).restype = ctypes.c_char_p
        self.context = ctypes.c_void_p(self.f("new")(threads))
        if not self.context:
            raise SystemExit(self.f("why")())

    def f(self, what):
        return getattr(self.l, f"{self.name}_{what}")

    def run(self, texts, floats, types=None):
        """texts: lists of ids. Returns `floats` floats (the caller knows the shape) and raises on a
        status."""
        ids = np.array([i for t in texts for i in t], np.int32)
        kinds = None if types is None else np.array([i for t in types for i in t], np.int32)
        offsets = np.cumsum([0] + [len(t) for t in texts]).astype(np.int32)
        out = np.full(max(floats, 1), np.nan, np.float32)
        p = lambda x: None if x is None else x.ctypes.data_as(ctypes.c_void_p)
        status = self.f("run_ids")(
            self.context,
            p(ids),
            p(kinds),
            p(offsets),
            ctypes.c_int32(len(texts)),
            p(out),
            ctypes.c_size_t(floats),
        )
        if status:
            raise RuntimeError(self.f("strerror")(status).decode())
        return out


def evaluates(what, model, pairs, similar, *options):
    """`bertc eval` finds that the similarities of the pairs are in the oracle's order: gold scores are these,
    but those of the first two change places, so that the figure is not 1."""
    gold = [similar[1], similar[0], *similar[2:]]
    data, rank = TMP / "pairs.tsv", lambda x: np.argsort(np.argsort(x)).astype(float)
    assert np.diff(np.sort(similar)).min() > 1e-4, (what, similar)
    data.write_text("".join(f"g\tf\ty\t0\t{s}\t{a}\t{b}\n" for s, (a, b) in zip(gold, pairs)))
    p = run(BERTC, "eval", model, f"--data={data}", "--json", "--cpu=baseline", *options)
    [build] = json.loads(p.stdout)["builds"]
    want = np.corrcoef(rank(similar), rank(gold))[0, 1]
    assert build["metric"] == "spearman" and abs(build["score"] - want) < 1e-6, (what, build, want)


def compare(got, want, what, tolerance=1e-4):
    """Checks the limits of exactness: max abs <= tolerance * max(1, largest value), cosine >= 0.99999.
    Returns the worst error as a share of the tolerance."""
    got, want = np.asarray(got, np.float64).ravel(), np.asarray(want, np.float64).ravel()
    assert got.shape == want.shape and np.isfinite(got).all(), (
        f"{what}: {got.shape} numbers, expected {want.shape}; all finite: {np.isfinite(got).all()}"
    )
    worst = np.abs(got - want).max()
    limit = tolerance * max(1.0, np.abs(want).max())
    cosine = got @ want / max(np.linalg.norm(got) * np.linalg.norm(want), 1e-30)
    assert worst <= limit, f"{what}: max abs {worst:.3g} > {limit:.3g}"
    assert cosine >= 0.99999 or np.linalg.norm(want) < 1e-6, f"{what}: cosine {cosine:.8f}"
    return worst / limit
