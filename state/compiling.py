"""How numba compiles and keeps our kernels, where that differs from its own way. For `state.jit` alone.

A piece of kernels is compiled no further than its callers need it: typed, lowered and linked. It has no code for calls
from Python, is turned into machine code in its callers only, and is not kept on disk, as they contain it.

A kernel is found again by the name of its folder, which says its sources: not by the time of its file, which every
installation changes.
"""

from pathlib import Path
from typing import Any

from numba import types
from numba.core import typed_passes
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.errors import TypingError


class _PieceLibrary(JITCodeLibrary):  # type: ignore[misc]  # numba ships no types
    """Code that is linked into other libraries and never run by itself."""

    is_laid_in = False

    def _optimize_final_module(self) -> None:
        # What is laid into its callers is optimised there. A call stays one, and gets the better code of the two.
        if not self.is_laid_in:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _PieceLowering(typed_passes.NativeLowering):  # type: ignore[misc]  # the same
    _name = "piece_lowering"

    def run_pass(self, state: Any) -> bool:
        """Lower a piece and tell the compiler where its callers find it."""
        name = state.func_id.func_name
        if not state.flags.nrt and _holds_arrays(state.return_type):
            raise TypingError(f"{name} returns {state.return_type}, must return no array: nobody counts its uses")
        state.library = _PieceLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.is_laid_in = state.flags.forceinline
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = state.flags.no_compile = True
        super().run_pass(state)
        state.cr = state.cr._replace(cfunc=_refusal(name))
        state.targetctx.insert_user_function(state.cr.cfunc, state.cr.fndesc, [state.library])
        state.reload_init.extend(state.library._reload_init)
        return True


def _holds_arrays(kind: Any) -> bool:
    return isinstance(kind, types.Array) or (isinstance(kind, types.BaseTuple) and any(map(_holds_arrays, kind)))


def _refusal(name: str) -> Any:
    """Return what runs where Python calls a piece: a KeyError that says so.

    numba asks for a builtin of any arguments, another one for each piece; the method of a text is one.
    """
    return f"{{{name} is a piece of kernels and only they can call it}}".format


class PieceCompiler(CompilerBase):  # type: ignore[misc]  # the same
    """The compiler of pieces: numba's own but for the last step."""

    def define_pipelines(self) -> list[Any]:
        """Return numba's passes with our lowering in the place of its own."""
        pieces = PassManager("pieces")
        for one, text in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            pieces.add_pass(_PieceLowering if one is typed_passes.NativeLowering else one, text)
        pieces.finalize()
        return [pieces]


def kept_in(folder: Path, function: Any) -> FunctionCache:
    """Return numba's cache of a function, in a folder whose name says every source that its code depends on."""

    class Locator(_CacheLocator):  # type: ignore[misc]  # the same
        def get_cache_path(self) -> str:
            return str(folder)

        def get_source_stamp(self) -> str:
            return folder.name

        def get_disambiguator(self) -> str:
            return f"{function.__module__}-{function.__code__.co_firstlineno}"

        @classmethod
        def from_function(cls, *_: Any) -> "Locator":
            return cls()

    class Code(CompileResultCacheImpl):  # type: ignore[misc]  # the same
        _locator_classes = (Locator,)

    class Cache(FunctionCache):  # type: ignore[misc]  # the same
        _impl_class = Code

    return Cache(function)
