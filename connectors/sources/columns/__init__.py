"""Events that come as columns: Arrow IPC streams and files, Parquet files. Nothing is scanned.

    messages   what an Arrow stream says of its messages, checked before any library reads them; `flat` its wire format
    pages      what a Parquet file says of its pages, checked likewise; `compact` its wire format
    opening    a file of either as record batches, every one validated
    table      a piece of a record batch, and its columns in the few forms that are read
    decoder    such a piece as rows of the log
    rows       one row as names and values, for the strict path, and as the JSON object that it stands for

A row means what the JSON object of its values means, a timestamp standing for an ISO 8601 text: what is no event as
JSON is none here, with the same code, and its dead letter holds that object, which `dead replay` reads.
"""
