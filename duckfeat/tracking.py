"""The run that is going on: a block of work whose records carry it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from duckfeat.errors import StoreClosed
from duckfeat.query.session import Session


class Tracking:
    """A tracked run: a `with` block finishes it, or marks it failed; other attributes are the run's."""

    def __init__(self, session: Session, run: Any) -> None:
        self._session = session
        self.run = run

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked by protocols, also before there is a run
            raise AttributeError(name)
        return getattr(self.run, name)

    def __enter__(self) -> Any:
        return self.run

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            end(self._session, self.run, error)
        except StoreClosed:
            if error is None:
                raise

    def __repr__(self) -> str:
        return f"<tracking {self.run!r}>"


def end(session: Session, run: Any, error: BaseException | None = None) -> None:
    """Mark a run finished or failed, unless that was done already, and track it no longer."""
    session.end_run(run)
    if run.finished_at is not None:
        return
    run.status = "failed" if error else "finished"
    run.finished_at = datetime.now(UTC)
    run.error = f"{type(error).__name__}: {error}" if error else None
    run.save()
