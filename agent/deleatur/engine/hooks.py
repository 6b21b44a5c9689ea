"""Load the hook plugins of trusted distributions and call them by the rules of each hook."""

import re
from collections.abc import Sequence
from importlib.metadata import entry_points
from threading import Thread

import pluggy

from deleatur import hooks
from deleatur.documents.detection import Detector
from deleatur.documents.journal import Entry
from deleatur.documents.plan import Plan
from deleatur.engine.registry import require_trusted
from deleatur.errors import Refused

GROUP = "deleatur.hooks"
PATIENCE = 30.0  # seconds; whoever is asked for a hold and is silent longer holds
_TYPE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+|[a-z][a-z0-9]*")


class Hooks:
    """The registered hook plugins."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._pluggy = pluggy.PluginManager(hooks.PROJECT)
        self._pluggy.add_hookspecs(hooks)
        self.failures: list[str] = []  # observers that failed, by name and class of error

    @classmethod
    def load(cls, trusted: Sequence[str]) -> "Hooks":
        """Load every hook plugin that is installed; one that is not trusted is refused by name.

        An installed hold plugin that is silently left out would be a veto that nobody hears.
        """
        loaded = cls()
        for claim in sorted(entry_points(group=GROUP), key=lambda e: e.name):
            if claim.dist is None:
                raise Refused(f"{claim.value} belongs to no installed distribution")
            require_trusted(claim.dist, trusted)
            loaded.register(claim.load(), claim.name)
        return loaded

    def register(self, plugin: object, name: str) -> None:
        """Add one plugin; a misspelt hook is refused here, not ignored for ever."""
        self._pluggy.register(plugin, name)
        self._pluggy.check_pending()

    def find_holds(self, plan: Plan) -> tuple[str, ...]:
        """Ask every plugin, one at a time; return the names of those asked.

        Raises:
            Refused: one or more holds, or a plugin that failed; all are named.
        """
        asked: list[str] = []
        reasons: list[str] = []
        for name, plugin in self._pluggy.list_name_plugin():
            if plugin is None or not hasattr(plugin, "find_holds"):
                continue
            asked.append(name)
            reasons += self._ask(name, plugin, plan)
        if reasons:
            raise Refused("on hold: " + "; ".join(reasons))
        return tuple(asked)

    def _ask(self, name: str, plugin: object, plan: Plan) -> list[str]:
        """Ask one plugin in a thread of its own: an answer that comes too late is never looked at."""
        others = [p for p in self._pluggy.get_plugins() if p is not plugin]
        answered: list[list[str]] = []

        def ask() -> None:
            try:
                answers = self._pluggy.subset_hook_caller("find_holds", others)(plan=plan)
                answered.append([f"{h.id} ({h.reason})" for answer in answers for h in answer])
            except Exception as error:  # noqa: BLE001 - any failure of a hold service is a hold
                answered.append(
                    [f"{name} could not be asked ({type(error).__name__}), which counts as a hold"]
                )

        asking = Thread(target=ask, name=f"find_holds {name}", daemon=True)
        asking.start()
        asking.join(self._patience)
        if not answered:
            return [f"{name} did not answer within {self._patience:g} s, which counts as a hold"]
        return answered[0]

    def on_event(self, entry: Entry) -> None:
        """Tell every observer; remember the ones that fail, and go on."""
        for name, plugin in self._pluggy.list_name_plugin():
            if plugin is None or not hasattr(plugin, "on_event"):
                continue
            others = [p for p in self._pluggy.get_plugins() if p is not plugin]
            try:
                self._pluggy.subset_hook_caller("on_event", others)(entry=entry)
            except Exception as error:  # noqa: BLE001 - an observer never stops an erase
                self.failures.append(f"{name}: {type(error).__name__}")

    def detectors(self) -> tuple[Detector, ...]:
        """Ask every plugin for its detectors, one plugin at a time.

        Raises:
            Refused: a plugin failed, gave something else, or claims a type that is taken.
        """
        from deleatur.desensitize.detectors import TYPES  # late: its patterns take time to compile

        found: dict[str, Detector] = {}
        for name, plugin in self._pluggy.list_name_plugin():
            if plugin is None or not hasattr(plugin, "register_detectors"):
                continue
            for detector in self._detectors_of(name, plugin):
                if not isinstance(detector, Detector):
                    raise Refused(
                        f"{name} registers a {type(detector).__name__} as a detector; give a Detector"
                    )
                if detector.type in TYPES or detector.type in found:
                    raise Refused(
                        f"{name} claims the type {detector.type}, which is taken; give it a name of its own"
                    )
                if not _TYPE.fullmatch(detector.type):
                    raise Refused(f"{name} names a type that is not kebab-case, such as acme-member-number")
                found[detector.type] = detector
        return tuple(found.values())

    def _detectors_of(self, name: str, plugin: object) -> list[object]:
        others = [p for p in self._pluggy.get_plugins() if p is not plugin]
        try:
            answers = self._pluggy.subset_hook_caller("register_detectors", others)()
            return [detector for answer in answers for detector in answer]
        except Exception as error:  # a detector that cannot be had leaves data unseen
            raise Refused(
                f"{name} could not give its detectors ({type(error).__name__}); repair or uninstall it"
            ) from error
