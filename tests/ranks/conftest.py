from ranks.processes import together

__all__ = ["together"]
