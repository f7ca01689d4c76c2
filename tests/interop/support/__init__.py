"""What the interoperability tests share: the tool, the engines, the readers and the tables."""
