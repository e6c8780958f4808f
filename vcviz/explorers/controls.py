"""What a control of an explorer is, the widgets that ipywidgets lacks, and the panel of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ipywidgets as ipw
import traitlets

PLAIN = {"description_width": "initial"}


@dataclass(frozen=True)
class Control:
    """An argument of an explorer's drawing function, and the widget that sets it.

    Attributes
    ----------
    name : of the argument
    widget : its `value` is the argument; None where there is nothing to choose
    default : the argument where there is no widget
    play : milliseconds between the steps of a play button beside a slider; 0 for none
    shown, enabled : of all values, whether the widget does something; else it is hidden, or takes
        no input
    """

    name: str
    widget: ipw.Widget | None
    default: Any = None
    play: int = 0
    shown: Callable[[Mapping[str, Any]], bool] | None = None
    enabled: Callable[[Mapping[str, Any]], bool] | None = None

    @cached_property
    def box(self) -> ipw.Widget | None:
        """What stands in the panel: the widget, beside its play button if it has one."""
        return player(self.widget, interval=self.play) if self.play and self.widget else self.widget

    def follow(self, values: Mapping[str, Any]) -> None:
        """Show and enable the widget only while it does something."""
        if self.box is not None and self.shown is not None:
            self.box.layout.display = None if self.shown(values) else "none"
        if self.widget is not None and self.enabled is not None:
            self.widget.disabled = not self.enabled(values)


#: controls beside each other, and widgets that set no argument
Row = Sequence[Control | ipw.Widget]


class Choices(ipw.Box):
    """Check boxes whose `value` is the tuple of what is ticked, at least one.

    Parameters
    ----------
    options : (label, value) pairs; labels are shown as text
    description : what is chosen, in words
    """

    value = traitlets.Tuple()
    rule_text = ""

    def __init__(self, options: Sequence[tuple[str, Any]], *, description: str) -> None:
        self.options = tuple(options)
        self.description = description
        self.boxes = [
            ipw.Checkbox(
                True,
                description=label.replace("$", "＄"),  # $…$ would be set as a formula
                indent=False,
                tooltip=f"show {label}",
                layout=ipw.Layout(width="auto", margin="0 8px 0 0"),
            )
            for label, _ in options
        ]
        title = ipw.Label(f"{description}:", layout=ipw.Layout(margin="0 6px 0 0"))
        super().__init__(
            [title, *self.boxes], layout=ipw.Layout(flex_flow="row wrap", align_items="center")
        )
        self.value = tuple(value for _, value in options)
        self._following = False
        for box in self.boxes:
            box.observe(self._ticked, names="value")
        self.observe(self._set, names="value")

    def _ticked(self, change: Any) -> None:
        if self._following:
            return
        ticked = tuple(v for (_, v), b in zip(self.options, self.boxes, strict=True) if b.value)
        if ticked:
            self.value = ticked
        else:  # nothing to draw: the last box stays ticked
            change["owner"].value = True

    def _set(self, _change: Any) -> None:
        self._following = True
        for (_, value), box in zip(self.options, self.boxes, strict=True):
            box.value = value in self.value
        self._following = False


class SomeClasses(ipw.Box):
    """A choice of some of many classes: by a rule, or found by name; `value` is their tuple.

    Parameters
    ----------
    names : of all classes
    choices : (rule in words, classes) pairs; the first is the default
    """

    value = traitlets.Tuple()
    _OWN = "chosen by name"

    def __init__(self, names: Sequence[str], choices: Sequence[tuple[str, Sequence[int]]]) -> None:
        self.description = "Classes"
        self._rules = {rule: tuple(classes) for rule, classes in choices}
        twice = {name for name, n in Counter(names).items() if n > 1}
        self._tags = [f"{n} ({k})" if n in twice else n for k, n in enumerate(names)]
        self._place = {tag: k for k, tag in enumerate(self._tags)}
        rules = [*self._rules, self._OWN]
        text = f"{len(next(iter(self._rules.values())))} of {len(names):,} classes"
        self.rule = ipw.Dropdown(
            options=rules, description=text, style=PLAIN, layout=ipw.Layout(width="max-content")
        )
        self.found = ipw.TagsInput(
            allowed_tags=self._tags, allow_duplicates=False, placeholder="a class by name",
            layout=ipw.Layout(flex="1 1 300px"),
        )  # fmt: skip
        super().__init__(
            [self.rule, self.found], layout=ipw.Layout(flex_flow="row wrap", align_items="center")
        )
        self._following = False
        self.value = self._rules[rules[0]]
        self._set()
        self.rule.observe(self._ruled, names="value")
        self.found.observe(self._named, names="value")
        self.observe(self._set, names="value")

    @property
    def rule_text(self) -> str:
        """By which rule the classes are chosen, in words."""
        rules = (rule for rule, classes in self._rules.items() if classes == self.value)
        return next(rules, self._OWN)

    def _ruled(self, _change: Any) -> None:
        if not self._following and self.rule.value != self._OWN:
            self.value = self._rules[self.rule.value]

    def _named(self, _change: Any) -> None:
        if self._following:
            return
        if self.found.value:
            self.value = tuple(sorted(self._place[tag] for tag in self.found.value))
        else:  # nothing to draw: back to the rule
            self.value = next(iter(self._rules.values()))
            self._set()

    def _set(self, _change: Any = None) -> None:
        self._following = True
        self.found.value = [self._tags[k] for k in self.value]
        self.rule.value = self.rule_text
        self._following = False


def class_choice(
    names: Sequence[str], choices: Sequence[tuple[str, Sequence[int]]]
) -> Choices | SomeClasses:
    """Return a box for every class, or the choice of some where `choices` are by a rule."""
    if choices[0][0]:
        return SomeClasses(names, choices)
    return Choices([(name, k) for k, name in enumerate(names)], description="Classes")


def row_of(controls: Iterable[ipw.Widget], *, gap: str = "0 18px") -> ipw.Box:
    """Return controls beside each other, in several rows where the page is narrow."""
    wrap = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap=gap)
    return ipw.Box(list(controls), layout=wrap)


def folded_panel(rows: Sequence[Row], more: Sequence[Row], *ends: ipw.Widget) -> ipw.VBox:
    """Return rows of controls, the last with a button that unfolds `more` of them, and `ends`."""
    *above, last = (boxes for row in rows if (boxes := _boxes(row)))
    folded = [row_of(boxes) for row in more if (boxes := _boxes(row))]
    if not folded:
        return ipw.VBox([*map(row_of, above), row_of([*last, *ends])])
    drawer = ipw.VBox(folded, layout=ipw.Layout(display="none", grid_gap="2px 0"))
    unfold = ipw.ToggleButton(
        False,
        description="More controls",
        icon="sliders",
        tooltip="show the controls that are used less",
        layout=ipw.Layout(width="auto"),
    )
    unfold.observe(
        lambda change: setattr(drawer.layout, "display", None if change["new"] else "none"), "value"
    )
    return ipw.VBox([*map(row_of, above), row_of([*last, unfold, *ends]), drawer])


def _boxes(row: Row) -> list[ipw.Widget]:
    boxes = (entry.box if isinstance(entry, Control) else entry for entry in row)
    return [box for box in boxes if box is not None]


def player(slider: ipw.SelectionSlider | ipw.IntSlider, *, interval: int) -> ipw.Box:
    """Return the slider with a play button that steps through its values, each so many ms."""
    play = ipw.Play(interval=interval, tooltip=f"play {slider.description}")
    if isinstance(slider, ipw.SelectionSlider):
        play.max = len(slider.options) - 1
        traitlets.link((slider, "index"), (play, "value"))
    else:
        for name in ("min", "max", "value"):
            traitlets.link((slider, name), (play, name))
    box = ipw.HBox([play, slider], layout=ipw.Layout(flex="1 1 330px", max_width="760px"))
    box.play = play
    return box


def steps(
    description: str, options: Sequence[Any], value: Any, **layout: str
) -> ipw.SelectionSlider:
    """Return a slider over options, values or (label, value) pairs; `layout` as its CSS."""
    return ipw.SelectionSlider(
        options=list(options), value=value, description=description, style=PLAIN,
        layout=ipw.Layout(**layout),
    )  # fmt: skip


def epoch_slider(epochs: Sequence[int]) -> ipw.SelectionSlider:
    """Return a slider over epochs that starts at the last."""
    return steps("Epoch", epochs, epochs[-1], flex="1 1 auto")


def dropdown(
    description: str, options: Sequence[tuple[str, Any]], *, px: int | None = None, **more: Any
) -> ipw.Dropdown:
    """Return a drop-down list as wide as it needs, of at most so many pixels."""
    most = None if px is None else f"{px}px"
    return ipw.Dropdown(
        options=list(options),
        description=description,
        style=PLAIN,
        layout=ipw.Layout(width="max-content", max_width=most),
        **more,
    )


def choice(
    name: str,
    description: str,
    options: Sequence[tuple[str, Any]],
    *,
    value: Any = None,
    px: int | None = None,
) -> Control:
    """Return a control that is a drop-down list where there are several options; first the first.

    `value`, where it is given, is the first value instead.
    """
    first = options[0][1] if value is None else value
    several = len(options) > 1
    widget = dropdown(description, options, value=first, px=px) if several else None
    return Control(name, widget, first)


def checkbox(description: str, value: bool = True) -> ipw.Checkbox:
    """Return a check box without indent."""
    return ipw.Checkbox(
        value, description=description, indent=False, layout=ipw.Layout(width="auto")
    )


def prose(text: str) -> str:
    """Return HTML as close as text is: ipywidgets gives each line of it the height of a control."""
    return f"<div style='line-height:1.45;margin:4px 0'>{text}</div>" if text else ""


def button(
    description: str, icon: str, tooltip: str, action: Callable[[], Any], *, width: str = "auto"
) -> ipw.Button:
    """Return a button that does something."""
    made = ipw.Button(
        description=description, icon=icon, tooltip=tooltip, layout=ipw.Layout(width=width)
    )
    made.on_click(lambda _: action())
    return made
