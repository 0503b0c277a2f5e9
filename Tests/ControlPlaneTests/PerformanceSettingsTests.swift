// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import EventLoop
import Foundation
import Testing

@Suite("The performance settings")
struct PerformanceSettingsTests {
    private static func settings(_ entries: String) throws -> PerformanceSettings {
        try ConfigurationFile.parse("performance: {\(entries)}\n", file: "m.yaml").performance
    }

    @Test("Every key is understood")
    func everyKey() throws {
        let text = """
            performance:
              loops: 3
              poller: epoll
              coalesce: classic
              coalesce-hold: 30us
              polling: adaptive
              polling-budget: 10
              numa: strict
              numa-buffers: 64
              pin: "0-3,8"
              stats-sample: 256
            """
        let settings = try ConfigurationFile.parse(text, file: "m.yaml").performance
        var expected = PerformanceSettings()
        expected.loopCount = 3
        expected.poller = .epoll
        expected.coalescing = .classic
        expected.holdMicroseconds = 30
        expected.polling.mode = .adaptive
        expected.polling.budgetPercent = 10
        expected.placement.numa = .strict
        expected.placement.pinning = .processors(ProcessorSet([0, 1, 2, 3, 8]))
        expected.bufferCount = 64
        expected.sampleInterval = 256
        #expect(settings == expected)
    }

    @Test("What the file leaves out stays as it is without a file")
    func defaults() throws {
        let settings = try ConfigurationFile.parse("devices: {d: {backstore: ram/1M}}\n", file: "m.yaml").performance
        #expect(settings == PerformanceSettings())
        #expect(settings.polling.mode == .off)
        #expect(!settings.placement.isWanted)
        #expect(settings.bufferCount == 1024)
    }

    @Test(
        "Times carry their unit",
        arguments: [
            ("0", 0), ("0us", 0), ("1us", 1), ("30µs", 30), ("1000us", 1000), ("1ms", 1000), ("0ms", 0),
        ])
    func hold(text: String, microseconds: Int) throws {
        #expect(try Self.settings("coalesce-hold: \(text)").holdMicroseconds == microseconds)
    }

    @Test(
        "Truth values are YAML's, and percentages may have their sign",
        arguments: [
            "pin: yes, numa: no, polling: no, coalesce: false, polling-budget: 0%",
            "pin: on, numa: false, polling: off, coalesce: off, polling-budget: 0",
            "pin: \"true\", numa: off, polling: false, coalesce: no, polling-budget: 0",
        ])
    func truth(entries: String) throws {
        let settings = try Self.settings(entries)
        #expect(
            settings.placement
                == {
                    var each = PlacementSettings()
                    each.pinning = .yes
                    return each
                }())
        #expect(settings.polling.mode == .off)
        #expect(settings.coalescing == .off)
        #expect(settings.polling.budgetPercent == 0)
    }

    @Test("A single processor is a list", arguments: [("3", [3]), ("\"1,0\"", [0, 1]), ("2-2", [2])])
    func processors(text: String, numbers: [Int]) throws {
        #expect(try Self.settings("pin: \(text)").placement.pinning == .processors(ProcessorSet(numbers)))
    }

    @Test(
        "The ends of each range are inside",
        arguments: [
            "loops: 1024", "numa-buffers: 0", "numa-buffers: 65536",
            "stats-sample: 0", "stats-sample: 1", "stats-sample: 1048576", "polling-budget: 100",
        ])
    func limits(entry: String) {
        #expect(throws: Never.self) { try Self.settings(entry) }
    }

    private static let illegal: [(String, String)] = [
        ("loops: 0", "loops cannot be \"0\": write a number from 1 to 1024"),
        ("loops: 1025", "loops cannot be \"1025\": write a number from 1 to 1024"),
        ("loops: two", "loops cannot be \"two\": write a number from 1 to 1024"),
        ("poller: kqueue", "poller cannot be \"kqueue\": write auto, epoll or io_uring"),
        ("coalesce: always", "coalesce cannot be \"always\": write off, turn, adaptive or classic"),
        ("coalesce-hold: 30", "coalesce-hold cannot be \"30\": write a time up to 1000us with its unit, such as 30us"),
        (
            "coalesce-hold: 1001us",
            "coalesce-hold cannot be \"1001us\": write a time up to 1000us with its unit, such as 30us"
        ),
        (
            "coalesce-hold: 2ms",
            "coalesce-hold cannot be \"2ms\": write a time up to 1000us with its unit, such as 30us"
        ),
        (
            "coalesce-hold: -1us",
            "coalesce-hold cannot be \"-1us\": write a time up to 1000us with its unit, such as 30us"
        ),
        ("coalesce-hold: us", "coalesce-hold cannot be \"us\": write a time up to 1000us with its unit, such as 30us"),
        ("polling: spin", "polling cannot be \"spin\": write off, adaptive or busy"),
        ("polling-budget: 101", "polling-budget cannot be \"101\": write a percentage from 0 to 100, such as 25"),
        ("polling-budget: 1.5", "polling-budget cannot be \"1.5\": write a percentage from 0 to 100, such as 25"),
        ("numa: maybe", "numa cannot be \"maybe\": write off, auto or strict"),
        ("numa-buffers: 65537", "numa-buffers cannot be \"65537\": write a number from 0 to 65536"),
        ("pin: 3-1", "pin cannot be \"3-1\": write yes, no, or a list of processors such as 0-3,8"),
        ("pin: 0-9999", "pin cannot be \"0-9999\": write yes, no, or a list of processors such as 0-3,8"),
        ("stats-sample: 3", "stats-sample cannot be \"3\": write 0, or a power of two up to 1048576"),
        ("stats-sample: 2097152", "stats-sample cannot be \"2097152\": write 0, or a power of two up to 1048576"),
        ("loops: [1]", "performance.loops must be a single value"),
        ("polling-buget: 1", "unknown key \"polling-buget\" in performance: did you mean polling-budget?"),
        ("loop: 1", "unknown key \"loop\" in performance: did you mean loops?"),
    ]

    @Test("What is wrong is said with its line, and what to do", arguments: illegal)
    func illegalEntry(entry: String, sentence: String) {
        #expect(throws: Failure.usage("m.yaml:2: \(sentence)")) {
            try ConfigurationFile.parse("performance:\n  \(entry)\n", file: "m.yaml")
        }
    }

    @Test("The section must be a mapping")
    func noMapping() {
        #expect(
            throws: Failure.usage("m.yaml:1: performance must be a mapping: keys, each with a colon and a value")
        ) { try ConfigurationFile.parse("performance: fast\n", file: "m.yaml") }
    }

    @Test("The command line comes before the file, word by word")
    func precedence() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).yaml").path
        let text = "performance: {loops: 3, poller: epoll, coalesce: turn, polling: busy, polling-budget: 5}\n"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        var options = ServeOptions()
        options.configurationPath = path
        options.lunSpecifications = ["ram/1M"]
        let file = try options.configuration().performance
        #expect(file.loopCount == 3)
        #expect(file.poller == .epoll)
        #expect(file.coalescing == .turn)
        #expect(file.polling.mode == .busy)
        options.loopCount = 2
        options.poller = "auto"
        options.coalescing = "off"
        options.polling = "adaptive"
        let both = try options.configuration().performance
        #expect(both.loopCount == 2)
        #expect(both.poller == .auto)
        #expect(both.coalescing == .off)
        #expect(both.polling.mode == .adaptive)
        #expect(both.polling.budgetPercent == 5)
    }
}
