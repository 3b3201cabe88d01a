"""Panels of the page: each shows the answer to its newest request.

Every event of a panel (upload, example, clear, stop, again) takes two steps. The first does not
queue: it notes a new request and blanks the panel. The second is the run, which may wait for long;
it knows its request by the number that the first step left on the page. Each answer carries that
number into the page, which hides what is about another picture than the newest (assets/stale.js).

Gradio's own does less. `trigger_mode="always_last"` begins the newest run when the older one has
ended. `cancels` closes a run at its next update: of a step of 5 s that was cancelled after 1 s, the
other 4 s went on. So a run's job asks between its steps whether its request is the newest.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gradio as gr

from ui.jobs import Cancelled, closing
from ui.server.senders import current_session

# Numbers grow in the order in which a person acts, whatever order requests and answers arrive in.
# The page keeps each panel's newest: an answer that comes late would put an older one into the
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
_MAX_PANELS = 10_000  # panels whose newest request is kept; anybody may invent sessions
_SENT_WITHIN = 2.0  # seconds that an update is waited for until it is on its way to the page
_REPEATED_WITHIN = 0.2  # seconds in which Gradio has repeated the last update of a run that ended
_newest: dict[tuple[str, str], PanelRequest] = {}  # by session and panel
_lock = threading.Lock()

FILE_FIELDS = gr.Image, gr.ImageSlider, gr.DownloadButton, gr.File

Updates = dict[Any, Any]  # component -> its new value or gr.update
Begin = Callable[..., Updates]
Run = Callable[..., Iterator[Updates]]


class PanelRequest:
    """One request of a person in one panel.

    Attributes:
        number: grows with every request.
        run: what the request asks for, until that has started.
    """

    def __init__(self, key: tuple[str, str], number: float, run: Run | None) -> None:
        self.key = key
        self.number = number
        self.run = run
        self._sent = threading.Event()
        self._sent.set()
        self._ended = 0.0

    def is_newest(self) -> bool:
        """Return whether no newer request exists in the panel."""
        return _newest.get(self.key) is self

    def check(self) -> None:
        """Raise Cancelled if there is a newer request, or the page was closed."""
        if not self.is_newest():
            raise Cancelled

    def guard(
        self, updates: Iterator[Updates], on_error: Callable[[Exception], Updates]
    ) -> Iterator[Updates]:
        """Yield the updates; where they end in an error, on_error(error) at last.

        By then the error is gone, and with it the pixels that its traceback holds.
        """
        try:
            yield from updates
            return
        except Exception as error:
            self.check()  # of a page that was closed, the files are gone: that is no error
            last_update = on_error(error)
        yield last_update

    def shows(self, updates: Iterable[Updates], mark: Updates | None = None) -> Iterator[Updates]:
        """Yield what a run yields, for as long as it is the newest; each with `mark`.

        Gradio repeats the last update when a run ends. That is wanted while the run is the newest:
        of two updates that arrive together, the page may lose the first. Otherwise the last one is
        empty.
        """
        with contextlib.suppress(Cancelled), closing(iter(updates)) as items:  # leaves the queue
            for update in items:
                if not self.is_newest():
                    break
                self._sent.clear()
                try:
                    yield _apart(update) | (mark or {})
                finally:
                    self._sent.set()  # Gradio comes back for more once it has sent this
                    self._ended = time.monotonic()
        if not (self.is_newest() and self._ended):
            yield gr.skip()

    def settle(self) -> None:
        """Wait until what it has yielded last is on its way to the page."""
        self._sent.wait(_SENT_WITHIN)
        time.sleep(max(0.0, self._ended + _REPEATED_WITHIN - time.monotonic()))


class Panel:
    """A panel of the page that shows one answer at a time; to be made inside its Blocks.

    Attributes:
        number: the hidden field that carries a request's number from the first step to the run.
        answered: tells the page which request's answer it shows.
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
        begin_inputs: list[Any],
        inputs: list[Any],
        outputs: list[Any],
        **queue: Any,
    ) -> None:
        """Wire an event.

        Args:
            begin: begin(event, *begin_inputs) -> what the page shows at once; everything old is to
                be blanked.
            run: run(request, *inputs) yields the answer. Its first update has to blank the same
                again: something of an older run may have reached the page after the first step's
                answer.
            queue: the event options of the run, such as concurrency_id.
        """

        # 1. What both steps do.
        def first(event: gr.EventData, number: str, *begin_inputs: Any) -> Any:
            request = new_request(self.name, number, run)
            if not request.is_newest():  # it came late, or was overtaken while it waited
                return gr.skip()
            updates = begin(event, *begin_inputs)
            return updates | {self.number: repr(request.number)} | self._mark(request)

        def then(number: str, *inputs: Any) -> Iterator[Any]:
            # Of a first step that came late, too, the page calls the run, with the newest number.
            request = _start(self.name, number, run)
            if request is None:
                yield gr.skip()
            else:
                yield from request.shows(run(request, *inputs), self._mark(request))

        # 2. When they do it.
        answer_fields = [self.answered, *outputs]
        script, newest = _NUMBER % self.name, _NEWEST % self.name
        fields = [self.number, *answer_fields]
        first_step = gr.on(
            triggers, first, [self.number, *begin_inputs], fields, queue=False, js=script, **_STEP
        )
        first_step.success(then, [self.number, *inputs], answer_fields, js=newest, **_STEP, **queue)

    def off(self, triggers: Any, end: Callable[[], Updates], *, outputs: list[Any]) -> None:
        """Wire an event that only ends what goes on, such as stop and clear.

        end: end() -> what the page shows then.
        """
        self.on(
            triggers,
            lambda event: end(),
            lambda request: iter([end()]),
            begin_inputs=[],
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
        """Wire an event that draws what is there anew: work(*inputs) -> values of the outputs.

        It is dropped where the panel has made another request since the event left the page, or
        makes one meanwhile; not where it never has.

        Args:
            options: of gr.on, with queue=False or the options of a queue; a `js` gets the request's
                number first.
        """

        def work_if_newest(number: str, *field_values: Any) -> Any:
            request = _current(self.name, number)
            if number and request is None:
                return gr.skip()
            values = work(*field_values)
            return gr.skip() if request and not request.is_newest() else values

        script = options.pop("js", _NEWEST % self.name)
        gr.on(triggers, work_if_newest, [self.number, *inputs], outputs, js=script, **options)

    def _mark(self, request: PanelRequest) -> Updates:
        """Return what tells the page that an answer is this request's."""
        return {self.answered: f"<i data-turn='{request.number!r}'></i>"}


def _apart(updates: Updates) -> Updates:
    """Return the updates with each file inside of a gr.update.

    Of a run's later updates Gradio sends what has changed, and the page changes the older value in
    place (Gradio 6.31). If that were the file itself, as the field has it, a later update without
    the file would take its path away, and whatever the field is sent for next would be refused.
    """
    return {
        field: gr.update(value=value)
        if isinstance(field, FILE_FIELDS) and not isinstance(value, dict)
        else value
        for field, value in updates.items()
    }


def new_request(panel: str, number: str = "", run: Run | None = None) -> PanelRequest:
    """Make a request for the current event and return it, the newest of its session in a panel.

    Args:
        number: of the request, as the page counts; "" for the next one. A request with an older
            number than the newest one's comes back superseded.
        run: what the request asks for.
    """
    key = current_session(), panel
    with _lock:
        older = _newest.get(key)
        following = max(1000 * time.time(), older.number if older else 0.0)
        request = PanelRequest(key, _read(number, following), run)
        if older and request.number < older.number:
            return request
        _newest.pop(key, None)
        _newest[key] = request
        if len(_newest) > _MAX_PANELS:
            del _newest[next(iter(_newest))]
    if older:
        older.settle()
    return request


def forget_requests(session: str) -> None:
    """Forget what a page that was closed has asked for: its runs show nothing more."""
    with _lock:
        for key in [key for key in _newest if key[0] == session]:
            del _newest[key]


def _start(panel: str, number: str, run: Run) -> PanelRequest | None:
    """Return a panel's newest request, once, if it has this number and asks for this run."""
    request = _current(panel, number)
    with _lock:
        if request is None or request.run is not run:
            return None
        request.run = None
        return request


def _current(panel: str, number: str) -> PanelRequest | None:
    """Return a panel's newest request, if it has this number."""
    request = _newest.get((current_session(), panel))
    return request if request and _read(number, -1.0) == request.number else None


def _read(number: str, otherwise: float) -> float:
    """Return the number that a page has sent; `otherwise` for what is no number."""
    with contextlib.suppress(ValueError, TypeError):
        return float(number)
    return otherwise
