# SPDX-License-Identifier: MIT
"""A run's results: one JSON file with all that is needed to repeat it."""
import datetime
import json
import os
import platform
import subprocess

from kit import Failed
from kit.contestants import BENCH, output_of

FORMAT = 1


def said(command):
    """The first line that `command` prints, if there is such a command."""
    try:
        found = subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return found.stdout.strip().split('\n')[0]
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def text_of(path):
    """What a file says, or that it is not there."""
    try:
        with open(path, encoding='utf-8') as file:
            return file.read().strip()
    except OSError:
        return 'unknown'


def machine():
    """What it ran on."""
    model = [line.split(':', 1)[1].strip() for line in text_of('/proc/cpuinfo').splitlines()
             if line.startswith('model name')] or ['unknown processor']
    return {'processor': model[0], 'processors': len(os.sched_getaffinity(0)),
            'kernel': f'{platform.system()} {platform.release()}',
            'system': ' '.join(line.split('=', 1)[1].strip('"')
                               for line in text_of('/etc/os-release').splitlines()
                               if line.startswith('PRETTY_NAME=')),
            'memory': text_of('/proc/meminfo').split('\n')[0].split(':')[-1].strip(),
            'load_before': os.getloadavg()[0],
            'descriptors': text_of('/proc/self/limits').split('Max open files')[-1].split()[0]}


def begun(directory, command, peers, absent, quick):
    """Results without rows."""
    flags = text_of(os.path.join(directory, 'flags'))
    return {
        'format': FORMAT,
        'date': datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
        'command': command, 'quick': quick, 'pattern': os.environ.get('BENCH', ''),
        'commit': said(['git', '-C', BENCH, 'describe', '--always', '--dirty', '--abbrev=12']),
        'compiler': said([flags.split(' ')[0] or 'c++', '--version']), 'build': flags,
        'machine': machine(),
        'peers': {name: {'version': output_of([path, '--version']).strip().split('\n')[0]}
                  for name, path in peers.items()},
        'absent': absent, 'rows': [], 'failed': []}


def save(results, path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(results, file, indent=1)
        file.write('\n')


def load(path):
    try:
        with open(path, encoding='utf-8') as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise Failed(f'{path}: {error}') from error
    if not isinstance(found, dict) or found.get('format') != FORMAT:
        raise Failed(f'{path} is not of format {FORMAT}')
    return found
