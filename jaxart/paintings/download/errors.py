"""What can go wrong on the way to a painting, by what follows from it."""


class WikiartError(Exception):
    """The run cannot go on; the message says why."""


class Refused(WikiartError):
    """This is not to be had from there, now or later."""


class Missing(Refused):
    """The site says that there is no such thing."""


class Unavailable(WikiartError):
    """This could not be had now; later it may."""
