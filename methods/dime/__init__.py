"""DiME: differential motion evolution, few-shot motion transfer by refining flows along an ODE."""
