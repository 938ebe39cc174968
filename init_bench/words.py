"""Put numbers into words, the same in reports, pages, figures and messages."""


def counted(number: int | str, noun: str) -> str:
    """Return a number of things, in the plural unless it is one.

    Example:
        >>> counted(1, "seed"), counted(0, "seed"), counted("2.5", "CPU")
        ('1 seed', '0 seeds', '2.5 CPUs')
    """
    return f"{number} {noun}{'s' * (str(number) != '1')}"
