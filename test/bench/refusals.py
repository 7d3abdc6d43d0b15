# SPDX-License-Identifier: MIT
"""What a peer may not say, and what its author is told then."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'bench'))
from kit import Failed, measure
from kit.contestants import Entry, all_cases, build_peers, cases_of, folders

CASES = []


def case(function):
    """Registers a case, named by its sentence."""
    CASES.append(('bench ' + function.__name__.replace('_', ' '), function))
    return function


def script(path, text, mode='755'):
    """A shell script at `path`. Another process writes it: what this one has
    open for writing, a child of another case may have too, and nobody can run
    it meanwhile."""
    subprocess.run(['install', '-D', '-m', mode, '/dev/stdin', path], check=True, text=True,
                   input=f'#!/bin/sh\n{text}\n')
    return path


def lists(folder, name, *lines):
    """A program that lists these lines."""
    return script(os.path.join(folder, name), '\n'.join(f"echo '{line}'" for line in lines))


def expect_refused(words, function, *arguments):
    try:
        found = function(*arguments)
    except Failed as failure:
        assert words in str(failure), failure
        return
    raise AssertionError(f'{found!r} instead of being refused for {words!r}')


def built(place, folder):
    """What is made of the peers at `place`."""
    return build_peers(folders(place), folder, lambda _: None)


def beside(folder, ours, theirs):
    """All cases of a program of ours with one row, and of a peer's."""
    return all_cases([lists(folder, 'program', ours)],
                     {'peer': lists(folder, 'peer', theirs)}, {}, 'soon/', False)


@case
def a_peer_with_a_clock_that_sees_less_is_refused(_):
    with tempfile.TemporaryDirectory() as folder:
        for ours, theirs, good in (('thread', 'thread', True), ('thread', 'process', True),
                                   ('process', 'thread', False), ('wall', 'thread', False),
                                   ('process', 'wall', False)):
            rows = (f'soon/x ours 1 {ours} ours -', f'soon/x it 1 {theirs}')
            if good:
                assert len(beside(folder, *rows)['soon/x']) == 2
            else:
                expect_refused(f"times it by the clock '{theirs}', ours is '{ours}'",
                               beside, folder, *rows)


@case
def a_contestant_with_the_name_of_another_is_refused(_):
    with tempfile.TemporaryDirectory() as folder:
        expect_refused("both have a contestant 'ours'", beside, folder,
                       'soon/x ours 1 thread ours -', 'soon/x ours 1 thread')


@case
def a_line_that_lists_no_case_is_refused(_):
    with tempfile.TemporaryDirectory() as folder:
        for line in ('soon/x', 'soon/x two words 1 thread', 'soon/x it many thread',
                     'soon/x it 1 threads'):
            expect_refused('CASE CONTESTANT OPERATIONS CLOCK', list,
                           cases_of(lists(folder, 'peer', line), True))


@case
def a_folder_of_no_peer_is_refused(_):
    with tempfile.TemporaryDirectory() as folder:
        expect_refused('no peer in', built, os.path.join(folder, 'nowhere'), folder)
        expect_refused('no peer in', built, folder, folder)
        assert built('', folder) == ({}, {})


@case
def a_build_that_cannot_be_run_or_makes_nothing_is_named(_):
    with tempfile.TemporaryDirectory() as folder:
        place = os.path.join(folder, 'one')
        script(os.path.join(place, 'build'), 'true', '644')
        expect_refused('one/build cannot be run: Permission denied', built, place, folder)
        script(os.path.join(place, 'build'), 'true')
        expect_refused('one/build has not made', built, place, folder)
        script(os.path.join(place, 'build'), 'echo wrong >&2; false')
        expect_refused('one/build is broken:\n  wrong', built, place, folder)


@case
def a_peer_may_be_named_alone_or_by_the_folder_it_is_in(_):
    with tempfile.TemporaryDirectory() as folder:
        peers = os.path.join(folder, 'peers')
        script(os.path.join(peers, 'one', 'build'), 'mkdir -p "$1/bench/peers"\n'
               'touch "$1/bench/peers/one"')
        os.makedirs(os.path.join(peers, 'unfinished'))
        path = os.path.join(folder, 'bench', 'peers', 'one')
        assert built(os.path.join(peers, 'one'), folder) == ({'one': path}, {})
        present, absent = built(peers, folder)
        assert present == {'one': path} and 'no script' in absent['unfinished'], absent


@case
def what_a_peer_includes_says_its_flags(_):
    def flags(text):
        return measure.flags_of(Entry(text, 'it', 'compile'))

    assert flags('#include <x>\n') == flags('// nothing but a comment\n') == []
    assert flags('') == flags('\n') == []
    assert flags('// -DX -I/y\n#include <x>\n') == ['-DX', '-I/y']
    assert flags('// pkg-config spdlog\n#include <x>\n'), 'no flags for spdlog'
    expect_refused('it: includes: pkg-config --cflags no-such-thing', flags,
                   '// pkg-config no-such-thing\n')
