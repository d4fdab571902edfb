"""The operations console: pages over HTTP for authors, operators, clerk leads and auditors, on the engine's front.

config     who may sign in, by a token each
roles      what each role may do
sessions   who is signed in
contract   what an engine must answer
markup     HTML, with the one function that escapes
words      English and Chinese
frame      what all pages share; then one module a page: live, switches, why, books, report, trail
routes     the paths, and who may ask them
"""
