"""The JSON document: all rows with all single values, and the runs in which they were measured."""

import json

from .records import Record

FORMAT = 1


class Document:
    """`runs` by their date: machine, versions, rounds, whether quick. `left_out`: rows that were asked for and are not there, with the reason."""

    def __init__(self):
        self.records = {}
        self.runs = {}
        self.left_out = {}

    def add(self, records, run):
        for record in records:
            record.run = run
            self.records[record.name] = record
            self.left_out.pop(record.name, None)

    def leave_out(self, names, reason):
        """A row that another run has measured stays."""
        self.left_out.update({name: reason for name in names if name not in self.records})

    def merge(self, other):
        """Takes the other document's rows that are not here."""
        for name, record in other.records.items():
            self.records.setdefault(name, record)
        self.runs = {**other.runs, **self.runs}
        self.left_out = {name: reason for name, reason in {**other.left_out, **self.left_out}.items() if name not in self.records}

    def sort(self, order):
        """In the order of these names; rows of other names follow."""
        places = {name: place for place, name in enumerate(order)}
        self.records = dict(sorted(self.records.items(), key=lambda item: places.get(item[0], len(places))))

    def write(self, path):
        used = {record.run for record in self.records.values()}
        text = json.dumps({"format": FORMAT, "runs": {date: run for date, run in self.runs.items() if date in used},
                           "rows": [record.to_json() for record in self.records.values()], "left-out": self.left_out},
                          indent=1, ensure_ascii=False)
        # Whoever ends the program in between finds the former one.
        fresh = path.with_suffix(".new")
        fresh.write_text(text + "\n", encoding="utf-8")
        fresh.rename(path)

    @staticmethod
    def read(path):
        members = json.loads(path.read_text(encoding="utf-8"))
        if members.get("format") != FORMAT:
            raise ValueError(f"{path} is of format {members.get('format')}, not {FORMAT}")
        document = Document()
        document.runs = members["runs"]
        document.left_out = members["left-out"]
        for row in members["rows"]:
            record = Record.from_json(row)
            document.records[record.name] = record
        return document
