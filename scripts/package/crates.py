#!/usr/bin/env python3
"""Print the licence texts of every Rust crate that is linked into the program, the C libraries within them included."""
import json
import os
import subprocess
import sys

TARGET = 'x86_64-unknown-linux-gnu'
NAMES = ('license', 'licence', 'copying', 'notice', 'copyright', 'unlicense')


def cargo(*arguments):
    return subprocess.check_output(('cargo',) + arguments).decode()


def metadata():
    return json.loads(cargo('metadata', '--format-version', '1', '--locked', '--filter-platform', TARGET))


def linked(known):
    """Of the packages that `metadata` knows, those that are linked into the program. `metadata` alone also has what tests, build scripts and
    macros depend on, and what nobody has switched on."""
    tree = cargo('tree', '--locked', '--target', TARGET, '--edges', 'no-dev,no-build,no-proc-macro', '--prefix', 'none', '--format', '{p}')
    names = {tuple(line.split()[:2]) for line in tree.splitlines()}
    found = [p for p in known['packages'] if (p['name'], 'v' + p['version']) in names and p['id'] != known['resolve']['root']]
    return sorted(found, key=lambda p: (p['name'], p['version']))


def texts(folder):
    """The licence files of a package, wherever within it a library was copied in."""
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.lower().startswith(NAMES) and not name.endswith(('.rs', '.py', '.h', '.c')):
                with open(os.path.join(where, name), encoding='utf-8', errors='replace') as handle:
                    yield os.path.relpath(os.path.join(where, name), folder), handle.read().strip()


def main():
    seen = {}
    print('Rust crates in this program, and the licence texts that come with them.\n')
    for package in linked(metadata()):
        print('%s\n%s %s: %s' % ('=' * 100, package['name'], package['version'], package['license'] or 'see the texts'))
        for name, text in texts(os.path.dirname(package['manifest_path'])):
            # Many crates have the very same text.
            first = seen.setdefault(text, '%s %s, %s' % (package['name'], package['version'], name))
            mine = '%s %s, %s' % (package['name'], package['version'], name)
            print('\n%s: %s' % (name, 'as ' + first + '\n' if first != mine else '\n\n' + text + '\n'))


if __name__ == '__main__':
    sys.stdout = open(sys.stdout.fileno(), 'w', encoding='utf-8')
    main()
