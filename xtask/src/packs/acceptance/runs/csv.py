"""csv: a text becomes rows."""


def run(pack):
    data = {"data": "a,b\n1,2\n", "delimiter": ",", "quote_char": '"'}
    pack.gives("csv.parse", data, [["a", "b"], ["1", "2"]])
    done = pack.server.run("csv.parse_file", {"file_path": "/nowhere/x.csv", "delimiter": ",",
                                              "quote_char": '"'})
    told = "Traceback" in done["result"]["stderr"]
    pack.check("a missing file is a failure with its traceback", done["status"] == "failed" and told,
               done)
