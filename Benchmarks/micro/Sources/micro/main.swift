// SPDX-License-Identifier: Apache-2.0
//
// micro HANDLERS [COUNT]
//
// Prints one line of JSON: {"NAME": {"what": WORDS, "ns": NANOSECONDS, "counted": ITERATIONS}, ...}. HANDLERS is the
// folder with the two builds of handler_micro.c; COUNT is how often the shortest bodies are run.

import Glibc

guard CommandLine.arguments.count >= 2, let count = Int(CommandLine.arguments.dropFirst(2).first ?? "1000000"),
    count > 0
else {
    print("usage: micro HANDLERS [COUNT]")
    exit(2)
}
let measure = Measure(iterationCount: count)
let entries = Decoding.measure(measure) + HandlerCalls.measure(measure, directory: CommandLine.arguments[1])
let texts = entries.map {
    "\"\($0.name)\": {\"what\": \"\($0.what)\", \"ns\": \($0.nanoseconds), \"counted\": \($0.countedIterationCount)}"
}
print("{\(texts.joined(separator: ", "))}")
