"""Builds the component of a context in Python. In the project's folder, run
`python3 plugins/sdk-python/build.py CONTEXT-FOLDER COMPONENT.wasm`.

CONTEXT-FOLDER holds `context.wit` with the component's world `context`, and `app.py`, whose classes implement the
world's exports. The world may name the packages in the project's `wit`. The first build installs the toolchain in
`.tools`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SDK = Path(__file__).resolve().parent
REQUIREMENTS = SDK / "requirements.txt"


def main() -> int:
    if len(sys.argv) != 3:
        return failed("an argument is missing", "run python3 build.py CONTEXT-FOLDER COMPONENT.wasm")
    folder, component = Path(sys.argv[1]), Path(sys.argv[2])
    python = installed(Path(".tools/python"))
    if python is None:
        return 1
    # Renamed when complete, so that the component is complete or absent.
    partial = component.with_name(f".{component.name}.{os.getpid()}.tmp")
    command = [python, "-c", "from componentize_py import script; script()", "--quiet", "-w", "context"]
    with tempfile.TemporaryDirectory(prefix="build-", dir=Path(".tools/python")) as made:
        # The toolchain's Python writes byte code next to the modules that it loads, so it gets copies.
        wit, own, sdk = (Path(made) / name for name in ("wit", "context", "sdk"))
        interfaces(folder, wit)
        for source, copy in [(folder, own), (SDK / "seam_sdk", sdk / "seam_sdk")]:
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        command += ["-d", wit, "componentize", "-p", own, "-p", sdk, "-o", partial, "app"]
        ended = subprocess.run(command)
    if ended.returncode != 0:
        partial.unlink(missing_ok=True)
        return failed(f"`{folder}`: the component cannot be built", "correct the first error above")
    partial.replace(component)
    return 0


def interfaces(folder: Path, to: Path) -> None:
    """Copies the world and the packages that it may name to the layout of the toolchain: one folder with `deps` in
    it."""
    to.mkdir()
    shutil.copy(folder / "context.wit", to)
    for package in Path("wit").iterdir():
        files = [] if package.name == "deps" else list(package.glob("*.wit"))
        for file in files:
            (to / "deps" / package.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to / "deps" / package.name)


def installed(below: Path) -> Path | None:
    """The Python with the toolchain. Its folder exists only after a complete installation: two builds at a time both
    install, and the first to finish wins."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = below / f"{version}-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}"
    python = folder / "bin/python"
    if folder.exists():
        return python
    print(f"installing the tools for Python into {below} (once, 70 MB from PyPI)", file=sys.stderr)
    below.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="install-", dir=below))
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", REQUIREMENTS]
    try:
        if subprocess.run([sys.executable, "-m", "venv", partial], stdout=sys.stderr).returncode != 0:
            failed("python3 cannot make a virtual environment", "run `seam doctor --fix`, which installs python3-venv")
            return None
        if subprocess.run([partial / "bin/python", *pip], stdout=sys.stderr).returncode != 0:
            failed("pip could not install the tools for Python", "check the index in pip's configuration")
            return None
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # Otherwise another build finished first.
                raise
        return python
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def failed(what: str, hint: str) -> int:
    print(f"error: {what}\nhint: {hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
