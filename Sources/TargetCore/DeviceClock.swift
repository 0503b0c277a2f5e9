// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// The time, as the surroundings of the core know it. Both are asked from any thread.
public struct DeviceClockSource: Sendable {
    /// Milliseconds since 1970-01-01 UT; may be set by somebody at any time.
    public var wallMilliseconds: @Sendable () -> UInt64
    /// Milliseconds since some moment; only ever forwards, at the same pace.
    public var monotonicMilliseconds: @Sendable () -> UInt64

    public init(
        wallMilliseconds: @escaping @Sendable () -> UInt64, monotonicMilliseconds: @escaping @Sendable () -> UInt64
    ) {
        self.wallMilliseconds = wallMilliseconds
        self.monotonicMilliseconds = monotonicMilliseconds
    }
}

/// The device clock of a logical unit (SPC-4 5.2): the wall clock until SET TIMESTAMP, and from then on the time that
/// came with it, going on at the pace of the monotonic clock. It is not kept beyond the life of the process.
final class DeviceClock: Sendable {
    private struct Setting {
        var milliseconds: UInt64
        var monotonicMilliseconds: UInt64
    }

    private let source: DeviceClockSource
    private let setting = Mutex<Setting?>(nil)

    init(_ source: DeviceClockSource) {
        self.source = source
    }

    var now: TimestampData {
        guard let setting = setting.withLock({ $0 }) else {
            return TimestampData(origin: .otherMeans, milliseconds: source.wallMilliseconds())
        }
        let elapsed = source.monotonicMilliseconds() &- setting.monotonicMilliseconds
        return TimestampData(origin: .setTimestamp, milliseconds: setting.milliseconds &+ elapsed)
    }

    func set(milliseconds: UInt64) {
        let monotonic = source.monotonicMilliseconds()
        setting.withLock { $0 = Setting(milliseconds: milliseconds, monotonicMilliseconds: monotonic) }
    }
}
