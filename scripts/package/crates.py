#!/usr/bin/env python3
"""Print the licence texts of every Rust crate that is linked into the program, the C libraries within them included."""
import json
import os
import subprocess
import sys

NAMES = ('license', 'licence', 'copying', 'notice', 'copyright', 'unlicense')


def linked(metadata):
    """Ids of the packages that the program itself depends on, without those of tests and build scripts."""
    nodes = {node['id']: node for node in metadata['resolve']['nodes']}
    found, open_ids = set(), [metadata['resolve']['root']]
    while open_ids:
        one = open_ids.pop()
        if one not in found:
            found.add(one)
            open_ids += [d['pkg'] for d in nodes[one]['deps'] if any(k['kind'] is None for k in d['dep_kinds'])]
    return found - {metadata['resolve']['root']}


def texts(folder):
    """The licence files of a package, wherever within it a library was copied in."""
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.lower().startswith(NAMES) and not name.endswith(('.rs', '.py', '.h', '.c')):
                with open(os.path.join(where, name), encoding='utf-8', errors='replace') as handle:
                    yield os.path.relpath(os.path.join(where, name), folder), handle.read().strip()


def main():
    command = ['cargo', 'metadata', '--format-version', '1', '--locked', '--filter-platform', 'x86_64-unknown-linux-gnu']
    metadata = json.loads(subprocess.check_output(command).decode())
    wanted = linked(metadata)
    seen = {}
    print('Rust crates in this program, and the licence texts that come with them.\n')
    for package in sorted((p for p in metadata['packages'] if p['id'] in wanted), key=lambda p: (p['name'], p['version'])):
        print('%s\n%s %s: %s' % ('=' * 100, package['name'], package['version'], package['license'] or 'see the texts'))
        for name, text in texts(os.path.dirname(package['manifest_path'])):
            # Many crates have the very same text.
            first = seen.setdefault(text, '%s %s, %s' % (package['name'], package['version'], name))
            mine = '%s %s, %s' % (package['name'], package['version'], name)
            print('\n%s: %s' % (name, 'as ' + first + '\n' if first != mine else '\n\n' + text + '\n'))


if __name__ == '__main__':
    sys.stdout = open(sys.stdout.fileno(), 'w', encoding='utf-8')
    main()
