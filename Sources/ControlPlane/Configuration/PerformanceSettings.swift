// SPDX-License-Identifier: Apache-2.0

public import EventLoop
internal import Transport

/// How the server's loops work: the section "performance" of a configuration file, and the options of
/// `martlet serve` that come before it.
public struct PerformanceSettings: Equatable, Sendable {
    /// When responses are sent.
    public enum Coalescing: String, CaseIterable, Sendable {
        /// Each by itself.
        case off
        /// All that a turn of the loop has made, at its end.
        case turn
        /// The same, and held a little longer where that pays.
        case adaptive
        /// By the rule of SCST's user mode, for comparison.
        case classic
    }

    /// A loop is a thread; more than this many help no machine.
    public static let maximumLoopCount = 1024
    /// Free buffers of one size that a loop may be told to keep.
    public static let maximumBufferCount = 65_536
    public static let defaultBufferCount = 1024
    /// A response is not held longer: initiators would take it for a slow disk.
    public static let maximumHoldMicroseconds = 1000
    public static let maximumSampleInterval = 1 << 20
    public static let defaultPolling = PollingSettings.defaultMode.rawValue

    /// Nil: one for each processor.
    public var loopCount: Int?
    public var poller = PollerChoice.auto
    /// Nil: the server's own choice.
    public var coalescing: Coalescing?
    /// The longest time for which a response is held back to be sent with others. Nil: the server's own choice.
    public var holdMicroseconds: Int?
    public var polling = PollingSettings()
    public var placement = PlacementSettings()
    /// Free buffers of one size that each loop keeps for itself.
    public var bufferCount = defaultBufferCount
    /// One command in so many is timed stage by stage: a power of two; 0: none. Nil: the server's own choice.
    public var sampleInterval: Int?

    public init() {}

    /// What the server is told of coalescing; nil: nothing, it has its own choice.
    func policy() throws(Failure) -> CoalescingPolicy? {
        guard let coalescing else { return nil }
        do throws(CoalescingSettingError) {
            let bounds = try CoalescingBounds(
                maximumHoldMicroseconds: holdMicroseconds ?? CoalescingBounds.standardMaximumHoldMicroseconds)
            return try CoalescingPolicy(parsing: coalescing.rawValue, bounds: bounds)
        } catch {
            throw .usage(error.description)
        }
    }
}
