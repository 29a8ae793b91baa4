"""Which requests ran which transactions: by what a log's records say, else by when both were open.

`ids` finds the ids of traces and requests in records, `flights` holds the requests that may be meant,
`linker` brings both together, and `superposed` weighs the candidates where there is nothing but time.
"""
