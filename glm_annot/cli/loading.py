"""What all inputs of a call share: the model, the reference of labelled proteins, the settings.

Each is loaded when it is first asked for, and once. Whatever is slow to import is imported then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from glm_annot.cli.tasks import Options
from glm_annot.errors import GlmAnnotError
from glm_annot.processes import cores

if TYPE_CHECKING:
    from glm_annot.bundle import Model
    from glm_annot.ec.reference import Reference
    from glm_annot.model.embedding_cache import EmbeddingCache
    from glm_annot.pipeline import Settings

log = logging.getLogger(__name__)
_Loaded = TypeVar("_Loaded")


class Shared:
    """What all inputs need, for one process.

    Attributes:
        failure: the error that prevented loading and so ends the whole call; None without one.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._reference: Reference | None = None
        self._model: Model | None = None
        self._settings: Settings | None = None
        self.failure: GlmAnnotError | None = None

    def load_reference(self) -> Reference | None:
        """The labelled proteins of `--reference`; None without that option.

        Raises:
            GlmAnnotError: the file is faulty, or there is no program to search it with.
        """
        if self._reference is None:
            self._reference = self._load(lambda: read_reference(self._options))
        return self._reference

    def load_model(self) -> Model:
        """The model, on its device.

        Raises:
            GlmAnnotError: no such model, or no such device.
        """
        if self._model is None:
            self._model = self._load(lambda: _read_model(self._options))
        return self._model

    def load_settings(self) -> Settings:
        """How each input is annotated. Loads model and reference, and opens the cache.

        Raises:
            GlmAnnotError: one of them cannot be used.
        """
        if self._settings is None:
            model, reference = self.load_model(), self.load_reference()
            self._settings = self._load(lambda: _make_settings(model, reference, self._options))
        return self._settings

    def _load(self, load: Callable[[], _Loaded]) -> _Loaded:
        try:
            return load()
        except GlmAnnotError as error:
            self.failure = error
            raise


def _read_model(options: Options) -> Model:
    import torch

    from glm_annot.bundle import load
    from glm_annot.model.devices import best_device

    if options.threads is not None:
        torch.set_num_threads(options.threads or cores())
    device = best_device() if options.device == "auto" else options.device
    model = load(options.model, device)
    _log_once(options, "model %s %s on %s", model.name, model.version, device)
    return model


def _log_once(options: Options, message: str, *values: object) -> None:
    """Logs a message that every process would repeat. Only the main process shows it on the screen."""
    log.log(logging.DEBUG if options.quiet else logging.INFO, message, *values)


def _make_settings(model: Model, reference: Reference | None, options: Options) -> Settings:
    from glm_annot.pipeline import Settings

    return Settings(
        min_confidence=options.min_confidence,
        ec=options.ec,
        operons=options.operons,
        reference=reference,
        precision=options.precision,
        batch_size=options.batch_size,
        only_hypothetical=options.only_hypothetical,
        cache=_open_cache(model, options),
    )


def read_reference(options: Options) -> Reference | None:
    """Reads the file of `--reference`, if there is one. Raises as `Shared.load_reference`."""
    if options.reference is None:
        return None
    from glm_annot.ec.reference import read_reference as read

    reference = read(options.reference)
    with_number = sum(map(bool, reference.ec))
    _log_once(
        options,
        "reference %s: %d proteins with EC numbers, %d that are no enzymes; searched by %s",
        options.reference,
        with_number,
        len(reference.ec) - with_number,
        reference.searched_by,
    )
    return reference


def _open_cache(model: Model, options: Options) -> EmbeddingCache | None:
    if options.cache is None or options.dry_run:
        return None
    from glm_annot.model.embedding_cache import EmbeddingCache

    size = int(options.cache_size * 1e9)
    return EmbeddingCache(options.cache, model.encoder, precision=options.precision, max_bytes=size)
