"""Cancellation: a panel shows the answer to the newest request, and drops what an older run yields.

Every event of a panel (upload, example, clear, stop, again) takes two steps. The first does not
queue: it makes a new token and blanks the panel. The second is the run, which may wait for long; it
knows its token by the number that the first step left on the page.

Each answer carries the number of its token into the page, so that the page itself can hide what is
about another picture than the one that was chosen last (assets/stale.js).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import gradio as gr

from ui.server.turns import Turn, current_session

# Numbers grow in the order in which a person acts, whatever order requests and answers arrive in.
# The page keeps each panel's newest one: an answer that comes late would put an older one into the
# hidden field.
_NUMBER = """(_, ...given) => {
  const number = String(performance.timeOrigin + performance.now());
  (window.ccTurns ??= {})["%s"] = number;
  return [number, ...given];
}"""
_NEWEST = "(number, ...given) => [window.ccTurns?.['%s'] ?? number, ...given]"
_STEP: dict[str, Any] = {
    "preprocess": False,
    "trigger_mode": "multiple",
    "api_visibility": "private",
    "show_progress": "hidden",
}
# seconds that a new token waits at most for what the older run has on its way to the page
_MOST = 10_000  # sessions that are remembered; anybody may invent them
_SETTLED = 2.0
_REPEATED = 0.2  # seconds in which Gradio has repeated the last update of a run that ended
_tokens: dict[str, dict[str, CancellationToken]] = {}  # session -> panel -> the newest
_lock = threading.Lock()

Updates = dict[Any, Any]  # component -> its new value or gr.update
Begin = Callable[..., Updates]
Run = Callable[..., Iterator[Updates]]


class Superseded(BaseException):
    """A newer request exists in this panel.

    As with asyncio.CancelledError, nothing that handles errors may take it for one.
    """


class CancellationToken:
    """One request of a person in one panel. number: grows with every request. wish: what is to run
    for it."""

    def __init__(self, key: tuple[str, str], number: float, wish: object = None) -> None:
        self.key, self.number, self.wish = key, number, wish
        self._started = threading.Lock()
        self._sent = threading.Event()
        self._sent.set()

    @property
    def newest(self) -> bool:
        return _newest(self.key) is self

    def starts(self, wish: object) -> bool:
        """True once, for the run this token was made for."""
        return self.wish is wish and self._started.acquire(blocking=False)

    def check(self) -> None:
        """Raises Superseded if a newer wish has been made, or the page was closed."""
        if not self.newest:
            raise Superseded

    def waits(self, place: Turn) -> Iterator[int]:
        """As Turn.waits, for as long as the answer is wanted; raises as `check` does."""
        for before in place.waits():
            self.check()
            yield before
        self.check()

    def enter(self, place: Turn) -> None:
        """Waits until it is in; raises as `check` does."""
        for _before in self.waits(place):
            pass

    def guard(
        self, updates: Iterator[Updates], failed: Callable[[Exception], Updates]
    ) -> Iterator[Updates]:
        """`updates`; where they end in an error, failed(error) at last.

        By then the error is gone, and with it the pixels that its traceback holds.
        """
        try:
            yield from updates
            return
        except Exception as error:
            self.check()  # of a page that was closed, the files are gone: that is no error
            told = failed(error)
        yield told

    def settle(self) -> None:
        """Waits until what it has yielded last is on its way to the page."""
        self._sent.wait(_SETTLED)

    def shows(self, updates: Iterable[Updates], mark: Updates | None = None) -> Iterator[Updates]:
        """What a run yields, for as long as it is the newest; each with `mark`.

        Gradio repeats the last update when a run ends. That is wanted while the run is the newest:
        of two updates that arrive together, the page may lose the first. Otherwise the last one is
        empty.
        """
        iterator, shown = iter(updates), False
        try:
            for update in iterator:
                if not self.newest:
                    break
                shown = True
                self._sent.clear()
                try:
                    yield update | (mark or {})
                finally:
                    self._sent.set()  # Gradio comes back for more once it has sent this
        except Superseded:
            pass
        finally:
            if isinstance(iterator, Generator):
                iterator.close()  # leaves the queue at once
        if self.newest and shown:
            self._sent.clear()
            threading.Timer(_REPEATED, self._sent.set).start()
        else:
            yield gr.skip()


class Panel:
    """A panel of the page that shows one answer at a time; to be made inside its Blocks.

    number: the hidden field that carries a token's number from the first step to the run. answered:
    tells the page whose answer it shows.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = gr.Textbox("", visible=False)
        self.answered = gr.HTML("", visible="hidden", elem_id=f"{name}-answered")

    def on(
        self,
        triggers: Any,
        begin: Begin,
        run: Run,
        *,
        given: list[Any],
        inputs: list[Any],
        outputs: list[Any],
        **queue: Any,
    ) -> None:
        """Wires an event.

        Args:
            begin: begin(event, *given) -> what the page shows at once; everything old is to be
                blanked.
            run: run(token, *inputs) yields the answer. Its first update has to blank the same
                again: something of an older run may have reached the page after the first step's
                    answer.
            queue: the event options of the run, such as concurrency_id.
        """
        first, number = self._first(begin, run), self.number
        shown = [self.answered, *outputs]
        script, newest = _NUMBER % self.name, _NEWEST % self.name
        took = gr.on(
            triggers, first, [number, *given], [number, *shown], queue=False, js=script, **_STEP
        )
        took.success(self._then(run), [number, *inputs], shown, js=newest, **_STEP, **queue)

    def off(self, triggers: Any, end: Callable[[], Updates], *, outputs: list[Any]) -> None:
        """Wires an event that only ends what goes on, such as stop and clear; end() -> what is
        shown then."""
        self.on(
            triggers,
            lambda event: end(),
            lambda token: iter([end()]),
            given=[],
            inputs=[],
            outputs=outputs,
            concurrency_limit=None,
        )

    def beside(
        self,
        triggers: Any,
        work: Callable[..., Any],
        inputs: list[Any],
        outputs: Any,
        **options: Any,
    ) -> None:
        """Wires an event that draws what is there anew: work(*inputs) -> values of the outputs.

        It is dropped where the panel has made another token since the event left the page, or makes
        one meanwhile; not where it never has.
        options: of gr.on, with queue=False or the options of a queue; a `js` gets the token's
        number first.
        """

        def checked(number: str, *given: Any) -> Any:
            token = _current(self.name, number)
            if token is None:
                return gr.skip() if number else work(*given)
            values = work(*given)
            return values if token.newest else gr.skip()

        script = options.pop("js", _NEWEST % self.name)
        gr.on(triggers, checked, [self.number, *inputs], outputs, js=script, **options)

    def _first(self, begin: Begin, run: Run) -> Callable[..., Any]:
        def first(event: gr.EventData, number: str, *given: Any) -> Any:
            token = new_token(self.name, number, run)
            # overtaken, by its request or while it waited for what was on its way
            if not token.newest:
                return gr.skip()
            return begin(event, *given) | {self.number: repr(token.number)} | self._mark(token)

        return first

    def _then(self, run: Run) -> Callable[..., Iterator[Any]]:
        def then(number: str, *inputs: Any) -> Iterator[Any]:
            token = _current(self.name, number)
            # Of an overtaken first step, too, the page calls the run, by then with the newest
            # number.
            if token is None or not token.starts(run):
                yield gr.skip()
                return
            yield from token.shows(run(token, *inputs), self._mark(token))

        return then

    def _mark(self, token: CancellationToken) -> Updates:
        return {self.answered: f"<i data-turn='{token.number!r}'></i>"}


def new_token(part: str, number: str = "", wish: object = None) -> CancellationToken:
    """A token for what answers the current event, the newest of its session in a panel.

    Args:
        number: of the wish, as the page counts; "" for the next one. A token with an older number
            than the newest one's comes back superseded.
        wish: what is to run for it, see `CancellationToken.starts`.
    """
    with _lock:
        key = _key(part)
        old = _newest(key)
        token = CancellationToken(key, _read(number, old), wish)
        if old is not None and token.number < old.number:
            return token
        _tokens.setdefault(key[0], {})[part] = token
        if len(_tokens) > _MOST:
            del _tokens[next(iter(_tokens))]
    if old is not None:
        old.settle()
    return token


def cancel_runs(session: str) -> None:
    """Ends all runs of a session: they show nothing more."""
    with _lock:
        _tokens.pop(session, None)


def _current(part: str, number: str) -> CancellationToken | None:
    """The newest token of a panel for the current session, if it has this number."""
    token = _newest(_key(part))
    with contextlib.suppress(ValueError, TypeError):  # a client may send anything
        return token if token is not None and float(number) == token.number else None
    return None


def _newest(key: tuple[str, str]) -> CancellationToken | None:
    return _tokens.get(key[0], {}).get(key[1])


def _key(part: str) -> tuple[str, str]:
    return current_session(), part


def _read(number: str, old: CancellationToken | None) -> float:
    with contextlib.suppress(ValueError, TypeError):  # a client may send anything
        return float(number)
    return max(1000 * time.time(), old.number if old else 0.0)
