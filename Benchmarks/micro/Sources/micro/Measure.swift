// SPDX-License-Identifier: Apache-2.0

import CMicro

/// Runs a body many times and says what once costs.
struct Measure {
    /// Times that a body is run, and how often that is repeated: the median counts.
    let iterationCount: Int
    static let repetitionCount = 7
    /// What callgrind counts is the same every time, and slow.
    static let countedIterationCount = 2000

    struct Entry {
        let name: String
        /// In words.
        let what: String
        let nanoseconds: Double
        /// How often the body ran while callgrind counted.
        let countedIterationCount: Int
    }

    /// - Parameters:
    ///   - scale: bodies that take long are run less often, by this factor.
    ///   - isCounted: false for what happens on several threads, whose instructions say little.
    ///
    /// Not inlined: the body is the same code whether it is timed or counted.
    @inline(never)
    func callAsFunction(
        _ name: String, _ what: String, scale: Int = 1, isCounted: Bool = true, _ body: (Int) -> Void
    ) -> Entry {
        if micro_is_counted() != 0 {
            let count = isCounted ? max(1, Self.countedIterationCount / scale) : 0
            for index in 0..<min(count, 10) { body(index) }  // what is done once only is done here
            if isCounted {
                micro_count_begin()
                for index in 0..<count { body(index) }
                micro_count_end(name)
            }
            return Entry(name: name, what: what, nanoseconds: 0, countedIterationCount: count)
        }
        let count = max(1, iterationCount / scale)
        var found: [Double] = []
        for _ in 0..<Self.repetitionCount {
            let begin = micro_now_ns()
            for index in 0..<count { body(index) }
            found.append(Double(micro_now_ns() - begin) / Double(count))
        }
        found.sort()
        return Entry(name: name, what: what, nanoseconds: found[found.count / 2], countedIterationCount: 0)
    }
}

/// Has the compiler believe that `value` is looked at.
@inline(__always)
func use<Value>(_ value: Value) {
    withUnsafePointer(to: value) { micro_consume($0) }
}
