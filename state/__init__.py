"""Opportune: the state package."""
