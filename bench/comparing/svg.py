"""Bars and lines as SVG: all that the plots of the table need, so that no plotting package has to be there."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 56, 64
COLOURS = ("#2b6cb0", "#c05621", "#4a5568", "#2f855a", "#805ad5")
FONT = 'font-family="sans-serif" font-size="12" fill="#1a202c"'


class Axis:
    """From values to a range of pixels, linear from zero or logarithmic."""

    def __init__(self, low, high, begin, end, log=False):
        self.log = log
        self.begin, self.end = begin, end
        if log:
            self.low, self.high = math.floor(math.log10(low)), math.ceil(math.log10(high))
            self.high = max(self.high, self.low + 1)
            self.ticks = [10.0 ** power for power in range(self.low, self.high + 1)]
        else:
            step = tick_step(high)
            count = max(1, math.ceil(high / step - 1e-9))
            self.low, self.high = 0.0, count * step
            self.ticks = [step * i for i in range(count + 1)]

    def at(self, value):
        place = math.log10(max(value, 10.0 ** self.low)) if self.log else value
        return self.begin + (self.end - self.begin) * (place - self.low) / (self.high - self.low)


def tick_step(high):
    """1, 2 or 5 times a power of ten, for five ticks or fewer."""
    rough = (high or 1) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))


class Chart:
    """An SVG that grows; `y` is set by the figure before anything is drawn."""

    def __init__(self, title, unit, low, high, log=False):
        self.y = Axis(low, high, HEIGHT - BOTTOM, TOP, log)
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
                      f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
        self.text(LEFT, 20, title, size=15)
        self.text(12, TOP - 10, unit)
        for tick in self.y.ticks:
            self.line(LEFT, self.y.at(tick), WIDTH - RIGHT, self.y.at(tick), "#e2e8f0")
            self.text(LEFT - 6, self.y.at(tick) + 4, f"{tick:g}", anchor="end")

    def text(self, x, y, text, anchor="start", size=12, title=None):
        tip = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {FONT.replace("12", str(size), 1)}>{escape(text)}{tip}</text>')

    def line(self, x1, y1, x2, y2, colour, width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')

    def bar(self, x, width, value, colour, tip):
        top = self.y.at(value)
        self.parts.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(0.0, HEIGHT - BOTTOM - top):.1f}" fill="{colour}">'
                          f"<title>{escape(tip)}</title></rect>")

    def spread(self, x, low, high, colour="#1a202c"):
        self.line(x, self.y.at(low), x, self.y.at(high), colour)
        for value in (low, high):
            self.line(x - 3, self.y.at(value), x + 3, self.y.at(value), colour)

    def path(self, points, colour):
        self.parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
        self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]

    def legend(self, names):
        x = LEFT
        for name, colour in zip(names, COLOURS):
            self.parts.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{colour}"/>')
            self.text(x + 14, 39, name)
            x += 30 + 7 * len(name)

    def finish(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def bars(title, unit, groups, log=False):
    """`groups`: pairs of a label and a dictionary from a name to (median, low, high)."""
    names = list(dict.fromkeys(name for _, values in groups for name in values))
    everything = [number for _, values in groups for triple in values.values() for number in triple]
    chart = Chart(title, unit, min(everything), max(everything), log)
    slot = (WIDTH - LEFT - RIGHT) / len(groups)
    width = slot * 0.8 / len(names)
    for number, (label, values) in enumerate(groups):
        begin = LEFT + slot * number + slot * 0.1
        for place, name in enumerate(names):
            if name in values:
                middle, low, high = values[name]
                chart.bar(begin + place * width, width * 0.9, middle, COLOURS[place % len(COLOURS)], f"{label}, {name}: {middle:g} {unit}")
                chart.spread(begin + (place + 0.45) * width, low, high)
        chart.text(begin + slot * 0.4, HEIGHT - BOTTOM + 18, label, anchor="middle")
    chart.legend(names)
    return chart.finish()


def lines(title, unit, x_title, curves, log=False):
    """`curves`: from a name to a list of (x, median, low, high)."""
    everything = [number for points in curves.values() for point in points for number in point[1:]]
    chart = Chart(title, unit, min(everything), max(everything), log)
    across = Axis(0, max(point[0] for points in curves.values() for point in points), LEFT, WIDTH - RIGHT)
    for tick in across.ticks:
        chart.text(across.at(tick), HEIGHT - BOTTOM + 18, f"{tick:g}", anchor="middle")
    chart.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 40, x_title, anchor="middle")
    for (_, points), colour in zip(curves.items(), COLOURS):
        for x, _, low, high in points:
            chart.spread(across.at(x), low, high, colour)
        chart.path([(across.at(x), chart.y.at(middle)) for x, middle, _, _ in points], colour)
    chart.legend(curves)
    return chart.finish()
