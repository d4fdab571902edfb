"""Opportune: the connectors package."""
