"""Opportune: the rules package."""
