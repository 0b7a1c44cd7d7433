#!/usr/bin/env python3
"""Fetch what only packages need into the user's cache, as fetch.py does, and print where it is.

  extras.py zig         the program zig, whose linker knows the symbols of glibc 2.28
  extras.py licences    a folder with the licence texts of PyTorch, from the wheel that the bundled libraries come from
"""
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from fetch import TORCH_VERSION, WHEELS, cache_folder, download, licence_member, unpack  # noqa: E402

ZIG_VERSION = '0.17.1'
WHEELS['zig'] = ('ziglang==' + ZIG_VERSION, ['--platform', 'manylinux_2_12_x86_64', '--platform', 'manylinux2010_x86_64'],
                 'ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54')


def fetch_once(cache, name, fill):
    """Return the folder `name` of the cache; `fill(folder, tmp)` makes it when it is not there."""
    target = os.path.join(cache, name)
    if not os.path.isdir(target):
        with tempfile.TemporaryDirectory(prefix='.fetch-', dir=cache) as tmp:
            tree = os.path.join(tmp, 'tree')
            fill(tree, tmp)
            try:
                os.rename(tree, target)
            except OSError:
                if not os.path.isdir(target):
                    raise  # not another run of this script that was faster
    return target


def zig(cache):
    def fill(tree, tmp):
        prefix = 'ziglang/'
        unpack(download('zig', tmp), lambda name: name[len(prefix):] if name.startswith(prefix) else None, tree)
        os.chmod(os.path.join(tree, 'zig'), 0o755)
    return os.path.join(fetch_once(cache, 'zig-' + ZIG_VERSION, fill), 'zig')


def licences(cache):
    # A libtorch that fetch.py unpacked lately has them beside it.
    beside = os.path.join(cache, 'libtorch-%s-cpu' % TORCH_VERSION, 'licences')
    if os.path.isdir(beside):
        return beside

    def fill(tree, tmp):
        unpack(download('torch', tmp), licence_member, tree)
    return os.path.join(fetch_once(cache, 'licences-' + TORCH_VERSION, fill), 'licences')


if __name__ == '__main__':
    wanted = {'zig': zig, 'licences': licences}.get(sys.argv[1] if len(sys.argv) == 2 else '')
    if wanted is None:
        sys.exit(__doc__)
    print(wanted(cache_folder()))
