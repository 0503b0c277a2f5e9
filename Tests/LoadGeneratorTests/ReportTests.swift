// SPDX-License-Identifier: Apache-2.0
import LoadGenerator
import Testing

@Suite("Report")
struct ReportTests {
    @Test(
        "Numbers are rounded, with so many digits",
        arguments: [
            (0, 1, "0.0"), (0.04, 1, "0.0"), (0.05, 1, "0.1"), (12.345, 2, "12.35"), (999.96, 1, "1000.0"),
            (7.5, 0, "8"), (-0.01, 1, "0.0"), (-2.5, 1, "-2.5"), (0.007, 3, "0.007"),
        ])
    func fixed(value: Double, digits: Int, text: String) {
        #expect(Decimal.fixed(value, digits: digits) == text)
    }

    @Test(
        "Thousands are told apart",
        arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")])
    func grouped(value: Double, text: String) {
        #expect(Decimal.grouped(value) == text)
    }

    @Test("Both kinds of context switches of a thread are counted")
    func contextSwitches() {
        let status = "Name:\tx\nThreads:\t3\nvoluntary_ctxt_switches:\t1200\nnonvoluntary_ctxt_switches:\t34\n"
        #expect(ProcessStatus.contextSwitches(in: status) == 1234)
        #expect(ProcessStatus.contextSwitches(in: "") == 0)
        #expect(ProcessStatus.contextSwitches(in: "voluntary_ctxt_switches:\tmany\nrest") == 0)
    }
}
