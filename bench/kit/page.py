# SPDX-License-Identifier: MIT
"""The page and the picture of a run, from its results alone."""
import math
import os
import re
from html import escape

from kit import charts, scenarios, stats, table

STYLE = '''
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1320px;margin:auto;padding:16px}
h1{font-size:1.7rem;line-height:1.2;margin:.4em 0}h2{margin:1.6em 0 .2em}h3{margin:0;font-size:1rem;overflow-wrap:anywhere}
p{margin:.3em 0 .8em;max-width:46em}.soft{color:var(--soft)}small{color:var(--soft)}
a{color:var(--ours)}nav{display:flex;flex-wrap:wrap;align-items:center;gap:6px;margin:12px 0}
nav a,nav button{padding:3px 11px;border:1px solid var(--rule);border-radius:16px;
text-decoration:none;color:var(--ink);background:var(--card);font:inherit;font-size:.9rem;cursor:pointer}
nav button[aria-pressed=true]{border-color:var(--ours);color:var(--ours);font-weight:600}
.grid{display:grid;gap:14px;grid-template-columns:repeat(auto-fill,minmax(min(100%,380px),1fr));align-items:start}
figure{margin:0;padding:12px;background:var(--card);border:1px solid var(--rule);border-radius:10px}
figure svg{display:block;width:100%;height:auto;margin-top:6px}figcaption p{margin:0;font-size:.88rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem}
th,td{padding:3px 9px;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}
th:first-child{text-align:left}tbody th{font-weight:400;position:sticky;left:0;background:var(--paper)}
.case th{font-weight:600;padding-top:14px}.good{color:var(--good)}.bad{color:var(--bad)}
.key{white-space:nowrap;margin-right:1em}
.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.picked svg [data-name]{opacity:.22}.picked svg [data-name].on{opacity:1}
'''

# Marks one contestant in all charts. Neither < nor & in it: the page is XML.
SCRIPT = '''
document.querySelectorAll("nav button").forEach(function (button) {
  button.addEventListener("click", function () {
    var on = button.getAttribute("aria-pressed") !== "true";
    document.querySelectorAll("nav button").forEach(function (other) {
      other.setAttribute("aria-pressed", "false");
    });
    button.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("picked", on);
    document.querySelectorAll("svg [data-name]").forEach(function (mark) {
      mark.classList.toggle("on", mark.dataset.name === button.textContent);
    });
  });
});
'''


def everyone(results):
    """The names of all contestants: ours, floors, peers."""
    names = {}
    for row in results['rows']:
        for one in row['contestants']:
            names.setdefault(one['name'], one['role'])
    order = {'ours': 0, 'again': 0, 'floor': 1, 'peer': 2}
    return sorted(names, key=lambda name: (order[names[name]], name))


def colours(results):
    """{contestant: (its colour in charts with lines, its dashes)}."""
    curved = {'raw'}
    for row in results['rows']:
        if row['case'].startswith(('echo/', 'timers/')):
            curved.update(one['name'] for one in row['contestants'] if one['role'] == 'peer')
    found, free = {}, 0
    for name in everyone(results):
        if name in ('ours', 'streams'):
            found[name] = (name, 'none')
        elif name in curved - {'raw'}:
            again, colour = divmod(free, len(charts.LINES))
            found[name] = (f'line{colour}', '5 2' if again else 'none')
            free += 1
        else:
            found[name] = ('floor', 'none')
    return found


def figure(title, text, drawn, width, description):
    """A chart in its frame."""
    inner, height = drawn
    return (f'<figure><figcaption><h3>{escape(title)}</h3><p class="soft">{escape(text)}</p>'
            f'</figcaption>{charts.svg(inner, width, height, title, description)}</figure>')


def bar_figure(row):
    said = '; '.join(f"{one['name']} {charts.short(one['median'], row['unit'])}"
                     for one in charts.shown(row))
    text = f"{scenarios.meaning(row['case'])}; {row['what']}".lstrip('; ')
    if not row['floor']:
        kept = any(one['role'] == 'floor' for one in row['contestants'])
        text += '; multiples of ours, the floor ' + ('keeps nothing' if kept else 'is missing')
    noise = f"{100 * row['noise']:.1f} %"
    text += (f'. Differences below {noise} are noise.' if row['noise'] < stats.NOISE_MAX else
             f'. Not to be read: the same program twice differed by {noise}.')
    return figure(row['case'], text, charts.bars(row), 360, said)


def latency_figure(row, paint):
    """Percentiles to the right, each nine as wide as the last."""
    def nines(percent):
        return -math.log10(1 - min(percent, 99.995) / 100)

    series = {one['name']: (paint[one['name']],
                            [point for point in one['latency']['curve'] if point[0] >= 50])
              for one in charts.shown(row) if 'latency' in one}
    ticks = [(50, '50 %'), (90, '90'), (99, '99'), (99.9, '99.9'), (99.99, '99.99')]
    drawn = charts.lines(series, nines, ticks, 'ns', height=max(250, 12 * len(series) + 60),
                         title_x='percentile of the latency')
    said = '; '.join(f"{name} p99 {charts.short(dict(data).get(99, 0), 'ns')}"
                     for name, (_, data) in series.items())
    return figure(row['case'] + ', latency', 'how long a message takes, there and back',
                  drawn, 420, said)


def scale_figures(results, paint):
    """What an operation costs as the load grows."""
    rows = {row['case']: row for row in results['rows']}
    kinds = [(r'echo/64_c(\d+)', 'echo, 64 bytes', 'connections'),
             (r'echo/16384_c(\d+)', 'echo, 16 KiB', 'connections')]
    kinds += [(rf'timers/{name}_(\d+)', f'timers, {name}', 'timers')
              for name in ('insert_cancel', 'insert_expire', 'reschedule')]
    for pattern, title, load in kinds:
        found = {int(match[1]): rows[case] for case in rows
                 if (match := re.fullmatch(pattern, case))}
        series = {}
        for scale, row in sorted(found.items()):
            for one in charts.shown(row):
                series.setdefault(one['name'], (paint[one['name']], []))[1].append(
                    [scale, one['median']])
        series = {name: data for name, data in series.items() if len(data[1]) > 1}
        if len(found) < 2 or not series:
            continue
        ticks = [(scale, f'{scale:,}'.replace(',', ' ')) for scale in sorted(found)]
        drawn = charts.lines(series, lambda x: math.log10(x), ticks, 'ns',
                             height=max(250, 12 * len(series) + 60), title_x=load)
        said = '; '.join(f"{name} from {charts.short(data[0][1], 'ns')} to "
                         f"{charts.short(data[-1][1], 'ns')}"
                         for name, (_, data) in series.items())
        yield figure(f'{title}, by {load}', 'cost of one operation', drawn, 420, said)


def data_table(results):
    """All figures, for those who read and those who cannot see charts."""
    out = ['<div class="wide"><table><thead><tr><th scope="col">contestant</th>'
           '<th scope="col">median</th><th scope="col">× floor</th>'
           '<th scope="col">quartiles</th><th scope="col">ours is</th></tr></thead>']
    for row in results['rows']:
        out.append(f'<tbody><tr class="case"><th scope="rowgroup" colspan="5">'
                   f'{escape(row["case"])}</th></tr>')
        for one in table.sorted_contestants(row):
            if one['role'] == 'again':
                continue
            ratio = one.get('ratio')
            verdict, mood = '', ''
            if 'verdict' in one:
                verdict = 'tie' if one['verdict'] == 'tie' else table.times(one['ours'])
                mood = {'faster': 'good', 'slower': 'bad'}.get(one['verdict'], '')
            elif 'met' in one:
                verdict = one['target'] + (' met' if one['met'] else ' missed')
                mood = 'good' if one['met'] else 'bad'
            cells = [charts.short(one['median'], row['unit']),
                     f"{ratio['median']:.3f}" if ratio else '',
                     f"{ratio['low']:.3f}\u2013{ratio['high']:.3f}" if ratio else '']
            out.append(f'<tr><th scope="row">{escape(one["name"])}</th>'
                       + ''.join(f'<td>{escape(cell)}</td>' for cell in cells)
                       + f'<td class="{mood}">{escape(verdict)}</td></tr>')
        out.append('</tbody>')
    return '\n'.join(out + ['</table></div>'])


def facts(results):
    """Where and how it ran."""
    machine = results['machine']
    found = {'date': results['date'], 'command': results['command'],
             'machine': f"{machine['processor']}, {machine['processors']} processors, "
                        f"{machine['memory']}",
             'kernel': f"{machine['kernel']}, {machine['system']}",
             'compiler': results['compiler'], 'build': results['build'],
             'commit': results['commit'],
             'peers': ', '.join(one['version'] for one in results['peers'].values()) or 'none'}
    for name, why in results['absent'].items():
        found[f'absent: {name}'] = why
    for number, why in enumerate(results['failed'], 1):
        found[f'FAILED {number}'] = why
    return '<dl>' + ''.join(f'<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>'
                            for name, text in found.items()) + '</dl>'


def html(results):
    """The page, one file with all that it needs."""
    paint = colours(results)
    groups, links = [], []
    for start, title, text in scenarios.GROUPS:
        rows = [row for row in results['rows'] if row['case'].startswith(start)]
        if not rows:
            continue
        rows.sort(key=lambda row: -sum(one['role'] == 'peer' for one in row['contestants']))
        name = start.strip('/')
        links.append(f'<a href="#{name}">{escape(title)}</a>')
        cards = [bar_figure(row) for row in rows]
        cards += [latency_figure(row, paint) for row in rows
                  if start == 'echo/' and row['case'].endswith(('_2cpu', '_rate'))]
        groups.append(f'<h2 id="{name}">{escape(title)}</h2><p>{escape(text)}</p>'
                      '<div class="grid">' + '\n'.join(cards) + '</div>')
    scale = list(scale_figures(results, paint))
    if scale:
        links.append('<a href="#scale">Scale</a>')
        groups.append('<h2 id="scale">Cost against scale</h2>'
                      '<p>A flat line is a cost that does not grow with the load.</p>'
                      '<div class="grid">' + '\n'.join(scale) + '</div>')
    links.append('<a href="#figures">All figures</a>')
    buttons = ''.join(f'<button type="button" aria-pressed="false">{escape(name)}</button>'
                      for name in everyone(results))
    key = ''.join(f'<span class="key"><i style="background:var(--{colour})"></i>'
                  f'{escape(text)}</span> ' for colour, text in charts.KEY)
    quick = '<p class="bad">QUICK: a little of the work. The figures mean nothing.</p>'
    return f'''<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>Rondo beside raw epoll and its peers</title>
<style>{charts.style()}{STYLE}</style></head><body><main>
<h1>Rondo beside raw epoll and its peers</h1>
<p>Each bar is a cost, as a multiple of the floor: a loop written by hand in C for that one
job (the dashed line). Shorter is better. All contestants of a chart ran by turns on the same
processor, so read the multiples; the times beside them belong to this machine.</p>
<p>{key}A bar with a gash is longer than there is room.</p>
{quick if results['quick'] else ''}
<nav aria-label="scenarios">{''.join(links)}</nav>
<nav aria-label="mark a contestant"><span class="soft">Mark in all charts:</span>{buttons}</nav>
{''.join(groups)}
<h2 id="figures">All figures</h2>
<details><summary>The table</summary>{data_table(results)}</details>
<h2>Where and how</h2>{facts(results)}
</main><script>{SCRIPT}</script></body></html>
'''


def picture(results):
    """The picture for the README: a few rows, the best of the peers."""
    rows = {row['case']: row for row in results['rows']}
    chosen = [rows[case] for case in scenarios.PICTURE if case in rows]
    chosen = chosen or results['rows'][:6]
    wide, gap, top = 380, 16, 30
    inner, x, y, tallest = [], 0, 34, 0
    for index, row in enumerate(chosen):
        # Where a peer has nothing but coroutines they stand for it.
        only = [*scenarios.PICTURED,
                *(['asio_coroutines'] if row['case'].startswith('tasks/') else [])]
        drawn, height = charts.bars(row, wide - 16, only)
        inner.append(
            f'<g transform="translate({gap + x} {y})"><rect width="{wide}" '
            f'height="{{HEIGHT{index // 2}}}" rx="8" fill="var(--card)" stroke="var(--rule)"/>'
            f'<text x="10" y="19" class="head">{escape(row["case"])}'
            f'<tspan class="soft" dx="8" style="font-weight:400;font-size:11px">'
            f'{escape(scenarios.meaning(row["case"]))}</tspan></text>'
            f'<g transform="translate(8 {top})">{drawn}</g></g>')
        tallest = max(tallest, height)
        if index % 2 == 1 or index == len(chosen) - 1:
            inner = [text.replace(f'{{HEIGHT{index // 2}}}', str(tallest + top + 4))
                     for text in inner]
            x, y, tallest = 0, y + tallest + top + 4 + gap, 0
        else:
            x = wide + gap
    width = 2 * wide + 3 * gap
    foot = (f"times the hand-written floor, shorter is better; {results['date'][:10]}, "
            f"{results['machine']['processor']}, {results['machine']['kernel']}")
    head = '<text x="16" y="22" class="head">Cost beside raw epoll and the peers</text>'
    inner = [f'<style>{charts.style("svg")}</style>',
             f'<rect width="{width}" height="{y + 22}" fill="var(--paper)"/>', head,
             charts.key(wide + 2 * gap, 22), *inner,
             f'<text x="16" y="{y + 8}" class="soft">{escape(foot)}</text>']
    said = '; '.join(f"{row['case']}: " + ', '.join(
        f"{one['name']} {one['ratio']['median']:.2f}" for one in charts.shown(row)
        if one['role'] == 'ours' and 'ratio' in one) for row in chosen)
    return charts.svg('\n'.join(inner), width, y + 22,
                      'Rondo beside raw epoll and its peers', 'Times the floor: ' + said)


def write(results, path):
    """Writes both beside the results; returns their paths."""
    if not results['rows']:
        return []
    stem = os.path.splitext(path)[0]
    for ending, text in (('.html', html(results)), ('.svg', picture(results))):
        with open(stem + ending, 'w', encoding='utf-8') as file:
            file.write(text)
    return [stem + '.html', stem + '.svg']
