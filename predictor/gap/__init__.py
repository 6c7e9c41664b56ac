"""The gap model: what separates trials at one look, and what that says of their ends.

`units` measures gaps in spreads of the study's own, `prior` is what past studies say of them,
`regression` updates that by the study's finished trials, and `plan` decides who goes on.
"""
