"""The contracts between the engine and its plug-ins, and the value types they exchange."""
