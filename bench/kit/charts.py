# SPDX-License-Identifier: MIT
"""Charts as SVG: bars against the floor, and lines."""
import math
from html import escape

# Bars of more than so many floors, and three times ours, are cut.
CAP = 6.0

# Light, then dark. `peer` is what is neither ours nor the floor.
COLOURS = {
    'ink': ('#1f2937', '#e5e7eb'), 'soft': ('#596273', '#a3adbd'),
    'paper': ('#ffffff', '#11161d'), 'card': ('#f6f8fa', '#1a212b'),
    'rule': ('#d5dbe3', '#323c4a'), 'ours': ('#1d5fd1', '#6ea8ff'),
    'streams': ('#7a3fc4', '#b795f5'), 'floor': ('#6b7280', '#8b96a6'),
    'peer': ('#a9b4c2', '#56637a'), 'good': ('#13703a', '#5fd08c'),
    'bad': ('#b3261e', '#ff8f85')}
# For lines, which must be told apart: dark enough on white, light on black.
LINES = [('#b45309', '#f0a24b'), ('#0f766e', '#4fd1c5'), ('#be185d', '#f78fbf'),
         ('#4d7c0f', '#a6d854'), ('#0369a1', '#63c3f2'), ('#92400e', '#d7a077'),
         ('#7f1d1d', '#f5a3a3'), ('#3f6212', '#c3dc8e'), ('#155e75', '#8adbe8'),
         ('#86198f', '#e58bf0'), ('#525252', '#bdbdbd'), ('#1e3a8a', '#9db4f5')]


def style(scope=':root'):
    """The colours as CSS, for light and for dark."""
    def block(which):
        named = ''.join(f'--{name}:{pair[which]};' for name, pair in COLOURS.items())
        return named + ''.join(f'--line{n}:{pair[which]};' for n, pair in enumerate(LINES))
    return (f'{scope}{{{block(0)}}}'
            f'@media (prefers-color-scheme:dark){{{scope}{{{block(1)}}}}}'
            'svg text{font:11px system-ui,sans-serif;fill:var(--ink)}'
            'svg .soft{fill:var(--soft)}svg .end{text-anchor:end}svg .start{text-anchor:start}svg .mid{text-anchor:middle}'
            'svg .over{paint-order:stroke;stroke:var(--card);stroke-width:3px}'
            'svg .head{font-weight:600;font-size:12.5px}')


def short(value, unit):
    """A figure with its unit, in few digits."""
    steps = {'ns': [(1e9, 's'), (1e6, 'ms'), (1e3, 'µs'), (1, 'ns')],
             'B': [(1 << 20, 'MiB'), (1 << 10, 'KiB'), (1, 'B')]}[unit]
    for size, name in steps:
        if value >= size or size == 1:
            value /= size
            return f'{value:.3g} {name}' if value < 1000 else f'{value:.0f} {name}'
    return ''


def multiple(length):
    return f'{length:.2f}' if length < 100 else f'{length:.0f}'


def fill_of(one):
    """The colour of a contestant's bar."""
    if one['role'] == 'ours':
        return 'ours' if one['name'] == 'ours' else 'streams'
    return 'floor' if one['role'] == 'floor' else 'peer'


# What the colours of bars mean.
KEY = [('ours', 'ours'), ('streams', 'ours, by streams'), ('floor', 'the floor'),
       ('peer', 'peers')]


def key(x, y):
    """SVG elements that say what the colours of bars mean, from (x, y) on."""
    out = []
    for colour, text in KEY:
        out.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" rx="2" '
                   f'fill="var(--{colour})"/><text x="{x + 14}" y="{y}">{text}</text>')
        x += 30 + 6 * len(text)
    return ''.join(out)


def shown(row):
    """What a chart shows: the best first, the floor among them."""
    found = [one for one in row['contestants'] if one['role'] != 'again']
    return sorted(found, key=lambda one: one.get('ratio', one)['median'])


def bars(row, width=360, only=None):
    """(SVG elements, height): a bar each, as long as it is times the floor; or
    times ours, where the floor costs nothing. `only`: of the peers these."""
    ones = [one for one in shown(row)
            if only is None or one['role'] != 'peer' or one['name'] in only]
    base = next((one['median'] for one in ones if one['role'] == 'ours'), 1)
    lengths = [one['ratio']['median'] if 'ratio' in one else one['median'] / max(base, 1e-9)
               for one in ones]
    of = 'the floor' if row['floor'] else 'ours'
    mine = [length for one, length in zip(ones, lengths) if one['role'] == 'ours']
    top = min(max(CAP, 3 * min(mine, default=0)), max(lengths + [1.25]))
    left, right, step = 122, 100, 21
    room = width - left - right
    at_one = left + room / top
    height = step * len(ones) + 6
    out = [f'<line x1="{at_one:.1f}" x2="{at_one:.1f}" y1="0" y2="{height - 4}" '
           'stroke="var(--soft)" stroke-dasharray="3 3"/>']
    for index, (one, length) in enumerate(zip(ones, lengths)):
        y = index * step + 3
        wide = max(1.5, room * min(length, top) / top)
        name = escape(one['name'])
        figure = short(one['median'], row['unit'])
        said = f"{name}: {figure}, {length:.2f} times {of}"
        out.append(f'<g data-name="{name}"><title>{said}</title>')
        out.append(f'<text x="{left - 6}" y="{y + 12}" class="end">{name}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{wide:.1f}" height="15" rx="2" '
                   f'fill="var(--{fill_of(one)})"/>')
        if length > top:
            cut = left + wide - 12
            out.append(f'<path d="M{cut:.1f} {y + 17}l5 -19h4l-5 19z" fill="var(--card)"/>')
        out.append(f'<text x="{left + wide + 5:.1f}" y="{y + 12}" class="over">{multiple(length)}×'
                   f'<tspan class="soft" dx="5">{figure}</tspan></text></g>')
    return '\n'.join(out), height


def spread(labels, low, high, apart=12):
    """Moves [y, text...] apart so that none covers another."""
    labels.sort()
    at = low
    for label in labels:
        label[0] = at = max(label[0], at)
        at += apart
    over = labels[-1][0] - high if labels else 0
    at = math.inf
    for label in reversed(labels):
        if over > 0:
            label[0] = min(label[0], high, at - apart)
            at = label[0]
    return labels


def lines(series, x_of, ticks_x, unit, width=420, height=250, title_x=''):
    """(SVG elements, height) of lines: series is {name: ((colour, dashes),
    [[x, y]...])}; y is logarithmic."""
    left, right, top, bottom = 46, 136, 8, 34
    points = [point for _, data in series.values() for point in data]
    if not points:
        return '', 0
    low = math.log10(max(1e-3, min(y for _, y in points)))
    high = math.log10(max(y for _, y in points))
    low, high = low - 0.05, max(high + 0.05, low + 0.3)
    x_low = min(x_of(x) for x, _ in points)
    x_high = max(max(x_of(x) for x, _ in points), x_low + 1e-9)

    def px(x):
        return left + (x_of(x) - x_low) / (x_high - x_low) * (width - left - right)

    def py(y):
        part = (math.log10(max(y, 1e-3)) - low) / (high - low)
        return height - bottom - part * (height - top - bottom)

    out = []
    for power in range(math.floor(low), math.ceil(high) + 1):
        for digit in (1, 2, 5):
            y = digit * 10.0 ** power
            if not low <= math.log10(y) <= high or (digit != 1 and high - low > 2.2):
                continue
            out.append(f'<line x1="{left}" x2="{width - right}" y1="{py(y):.1f}" '
                       f'y2="{py(y):.1f}" stroke="var(--rule)"/>'
                       f'<text x="{left - 5}" y="{py(y) + 4:.1f}" class="end soft">'
                       f'{short(y, unit)}</text>')
    for x, text in ticks_x:
        if x_low <= x_of(x) <= x_high:
            # The outer ones stay clear of the figures and the names beside them.
            at = {x_low: 'start', x_high: 'end'}.get(x_of(x), 'mid')
            out.append(f'<line x1="{px(x):.1f}" x2="{px(x):.1f}" y1="{top}" '
                       f'y2="{height - bottom}" stroke="var(--rule)"/>'
                       f'<text x="{px(x):.1f}" y="{height - bottom + 14}" class="{at} soft">'
                       f'{escape(text)}</text>')
    out.append(f'<text x="{(left + width - right) / 2:.0f}" y="{height - 4}" '
               f'class="mid soft">{escape(title_x)}</text>')
    labels = []
    on_top = sorted(series.items(), key=lambda item: item[1][0][0] in ('ours', 'streams'))
    for name, ((colour, dashes), data) in on_top:
        path = ' '.join(f'{px(x):.1f},{py(y):.1f}' for x, y in data)
        thick = 2.6 if colour in ('ours', 'streams') else 1.5
        out.append(f'<g data-name="{escape(name)}"><title>{escape(name)}</title>'
                   f'<polyline points="{path}" fill="none" stroke="var(--{colour})" '
                   f'stroke-dasharray="{dashes}" stroke-width="{thick}" '
                   'stroke-linejoin="round"/></g>')
        x, y = px(data[-1][0]), py(data[-1][1])
        labels.append([y + 4, name, colour, f'M{x:.1f} {y:.1f}'])
    # All names stand in the margin, dots lead there from the curves' ends.
    margin = width - right
    for y, name, colour, start in spread(labels, top + 8, height - bottom + 4):
        out.append(f'<g data-name="{escape(name)}"><path d="{start}L{margin + 14} {y - 4:.1f}" '
                   f'fill="none" stroke="var(--{colour})" stroke-dasharray="1 2"/>'
                   f'<text x="{margin + 17}" y="{y:.1f}" style="fill:var(--{colour})">'
                   f'{escape(name)}</text></g>')
    return '\n'.join(out), height


def svg(inner, width, height, title, description):
    """An SVG element that a page may hold."""
    name = ''.join(letter if letter.isalnum() else '-' for letter in title)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
            f'role="img" aria-labelledby="t-{name} d-{name}">'
            f'<title id="t-{name}">{escape(title)}</title>'
            f'<desc id="d-{name}">{escape(description)}</desc>\n{inner}\n</svg>')
