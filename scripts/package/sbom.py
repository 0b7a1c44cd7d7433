#!/usr/bin/env python3
"""Print the SBOM (CycloneDX, JSON) of the package that is staged under a folder: what is linked into its program, and what lies beside it.

  sbom.py ROOT
"""
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import uuid
from urllib.parse import quote

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import crates  # noqa: E402
from fetch import DEFAULT_WEIGHTS, TORCH_VERSION, WEIGHTS, WHEELS  # noqa: E402

LIBRARIES = 'usr/lib64/patchcored'
TORCH = 'pkg:pypi/torch@' + TORCH_VERSION
# C libraries whose source lies in a crate: the crate, the library, its licence.
C_LIBRARIES = {
    'bzip2-sys': ('bzip2', 'bzip2-1.0.6'),
    'libsqlite3-sys': ('sqlite', 'blessing'),
    'zstd-sys': ('zstd', 'BSD-3-Clause'),
}


def component(kind, name, version, purl, licence, **more):
    found = {'type': kind, 'bom-ref': purl, 'name': name}
    if version:
        found['version'] = version
    found.update({'licenses': [{'expression': licence}], 'purl': purl}, **more)
    return found


def files(root, *paths):
    """Files of the package, with their sums."""
    for path in paths:
        digest = hashlib.sha256()
        with open(os.path.join(root, path), 'rb') as handle:
            for block in iter(lambda: handle.read(1 << 20), b''):
                digest.update(block)
        yield {'type': 'file', 'bom-ref': '/' + path, 'name': '/' + path, 'hashes': [{'alg': 'SHA-256', 'content': digest.hexdigest()}]}


def c_library(package):
    """The C library in a crate. Its version stands behind the crate's (`0.1.13+1.0.8`), or in the header of SQLite."""
    name, licence = C_LIBRARIES[package['name']]
    version = re.search(r'\+\D*([0-9.]+)$', package['version'])
    if not version:
        with open(os.path.join(os.path.dirname(package['manifest_path']), 'sqlite3', 'sqlite3.h'), encoding='utf-8') as header:
            version = re.search(r'#define SQLITE_VERSION +"([0-9.]+)"', header.read())
    return component('library', name, version.group(1), 'pkg:generic/%s@%s' % (name, version.group(1)), licence)


def rust(packages):
    """The crates, each with the sum of its archive, and the standard library."""
    with open('Cargo.lock', encoding='utf-8') as lock:
        sums = {(n, v): s for n, v, s in re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"', lock.read())}
    for package in packages:
        name, version = package['name'], package['version']
        # Old crates write a slash for OR.
        licence = (package['license'] or 'LicenseRef-' + name).replace('/', ' OR ')
        more = {'hashes': [{'alg': 'SHA-256', 'content': sums[name, version]}]}
        if name in C_LIBRARIES:
            more['components'] = [c_library(package)]
        yield component('library', name, version, reference(package), licence, **more)
    version = subprocess.check_output(['rustc', '--version']).decode().split()[1]
    yield component('library', 'rust-std', version, 'pkg:generic/rust-std@' + version, 'Apache-2.0 OR MIT')


def beside(root):
    """What others have made that lies beside the program."""
    yield component('library', 'torch', TORCH_VERSION, TORCH, 'BSD-3-Clause',
                    components=list(files(root, LIBRARIES + '/libtorch_cpu.so', LIBRARIES + '/libc10.so')))
    # PyTorch does not say which version of GCC it is from.
    yield component('library', 'libgomp', None, 'pkg:generic/libgomp', 'GPL-3.0-or-later WITH GCC-exception-3.1',
                    components=list(files(root, LIBRARIES + '/libgomp.so.1')))
    name, version = WHEELS[DEFAULT_WEIGHTS][0].split('==')
    yield component('machine-learning-model', name, version, 'pkg:pypi/%s@%s' % (name, version), 'Apache-2.0',
                    components=list(files(root, 'var/lib/patchcored/weights/' + WEIGHTS[DEFAULT_WEIGHTS])))


def reference(package):
    return 'pkg:cargo/%s@%s' % (package['name'], quote(package['version']))


def dependencies(known, references):
    """For each package of `references`, those of them that it depends on."""
    return {references[node['id']]: sorted({
        references[needed['pkg']] for needed in node['deps']
        if needed['pkg'] in references and any(kind['kind'] is None for kind in needed['dep_kinds'])
    }) for node in known['resolve']['nodes'] if node['id'] in references}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = sys.argv[1]
    known = crates.metadata()
    packages = crates.linked(known)
    (own,) = [package for package in known['packages'] if package['id'] == known['resolve']['root']]
    program = component('application', own['name'], own['version'], 'pkg:generic/%s@%s' % (own['name'], own['version']), own['license'])
    others = list(rust(packages)) + list(beside(root))
    theirs = {file['name'] for other in others for file in other.get('components', [])}
    ours = ['usr/bin/patchcored'] + [LIBRARIES + '/' + name for name in sorted(os.listdir(os.path.join(root, LIBRARIES)))]
    program['components'] = list(files(root, *[path for path in ours if '/' + path not in theirs]))

    references = {package['id']: reference(package) for package in packages}
    references[own['id']] = program['bom-ref']
    needed = dependencies(known, references)
    needed[program['bom-ref']] += [other['bom-ref'] for other in others if other['bom-ref'] not in needed]
    bom = {
        'bomFormat': 'CycloneDX', 'specVersion': '1.6', 'version': 1,
        'metadata': {'component': program},
        'components': others,
        'dependencies': [{'ref': one, 'dependsOn': needed[one]} for one in sorted(needed)],
        # PyTorch's library has others within it (oneDNN, protobuf and more); its licence texts name them, without versions.
        'compositions': [{'aggregate': 'incomplete', 'assemblies': [TORCH]}],
    }
    # The same package has the same SBOM.
    bom['serialNumber'] = 'urn:uuid:%s' % uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))
    if 'SOURCE_DATE_EPOCH' in os.environ:
        bom['metadata']['timestamp'] = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(int(os.environ['SOURCE_DATE_EPOCH'])))
    json.dump(bom, sys.stdout, indent=1)
    print()


if __name__ == '__main__':
    main()
