"""The HTTP edge: routes, decoding, errors as problem+json, request ids, OpenAPI, events.

`Function` is one deployed function. Nothing below this package knows the web.
"""

from shared.web.call import Call
from shared.web.function import Function
from shared.web.problem import Problem, problem_of

__all__ = ["Call", "Function", "Problem", "problem_of"]
