"""The front desk's side of the engine: visits that come in, what a clerk may know, what the desk reports."""
