"""Opportune: the engine package."""
