"""Plug-ins for the engine tests, found through entry points as any other distribution."""
