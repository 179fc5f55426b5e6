"""The engine of every pass: each item of a list is looked at once, and leaves a record.

`driver.alone` holds a folder, `folder.Folder` is what is in it, `running.run` does a
`work.Work` part by part, on this machine or on a Ray cluster.
"""

__all__ = ["driver", "folder", "local", "outputs", "rows", "running", "work"]
