"""All rows, in the order of the table."""

from fnmatch import fnmatchcase

from . import convergence, dirtying, disks, downtime, extra_memory, growth, memory_moves, micro, remote_writes


def works(sizes, quick):
    """All measurements, for these sizes of memory where a row names one."""
    return [*memory_moves.works(sizes), *downtime.works(sizes), *dirtying.works(quick), *convergence.works(quick), *extra_memory.works(sizes),
            *micro.works(quick), *growth.works(quick), *disks.works(quick), *remote_writes.works(quick), *memory_moves.fresh_works(sizes)]


def matches(name, pattern):
    """`ram-tcp` means all rows that begin so."""
    return fnmatchcase(name, pattern) or name.startswith(pattern + "-")


def select(all_works, patterns):
    """The measurements that fill a row of one of these names, and the patterns that no row has."""
    if not patterns:
        return all_works, []
    unknown = [pattern for pattern in patterns if not any(matches(name, pattern) for work in all_works for name in work.names)]
    return [work for work in all_works if any(matches(name, pattern) for name in work.names for pattern in patterns)], unknown
