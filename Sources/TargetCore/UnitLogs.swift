// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// The log parameters of a logical unit, shared by all I_T nexuses (SPC-4 5.8, 7.3).
///
/// Commands are counted by each I_T_L nexus. A reset notes what had been counted: nothing on the data path is written
/// by anybody else. Nothing is kept beyond the life of the process.
final class UnitLogs: Sendable {
    private struct State {
        /// Of nexuses that have gone.
        var retired = ActivityCounts()
        /// What each page leaves out, by page code.
        var bases: [UInt8: ActivityCounts] = [:]
    }

    private let state = Mutex(State())
    private let startStopCycles = Atomic<UInt32>(0)

    /// A nexus has gone; its counts stay.
    func retire(_ counts: ActivityCounts) {
        state.withLock { $0.retired = $0.retired + counts }
    }

    /// The unit was stopped and has been started again.
    func countStartStopCycle() {
        startStopCycles.wrappingAdd(1, ordering: .relaxed)
    }

    // MARK: Pages

    /// Counters by page and parameter code: TOTAL BYTES PROCESSED, TOTAL UNCORRECTED ERRORS, and the count of
    /// non-medium errors.
    private static let counters: [(page: UInt8, parameter: UInt16, counter: ActivityCounter)] = [
        (LogPageCode.writeErrorCounters, totalBytes, .writtenBytes),
        (LogPageCode.writeErrorCounters, totalUncorrectedErrors, .writeErrors),
        (LogPageCode.readErrorCounters, totalBytes, .readBytes),
        (LogPageCode.readErrorCounters, totalUncorrectedErrors, .readErrors),
        (LogPageCode.verifyErrorCounters, totalBytes, .verifiedBytes),
        (LogPageCode.verifyErrorCounters, totalUncorrectedErrors, .verifyErrors),
        (LogPageCode.nonMediumErrors, 0x0000, .nonMediumErrors),
    ]

    private static let totalBytes: UInt16 = 0x0005
    private static let totalUncorrectedErrors: UInt16 = 0x0006
    private static let accumulatedStartStopCycles: UInt16 = 0x0004
    private static let temperatureNotAvailable: UInt8 = 0xFF

    /// All pages, with `counted` as what has been counted by the nexuses that are there; `selfTests` as
    /// `LogPage.selfTestResults` takes them.
    func pages(_ counted: ActivityCounts, selfTests: [[UInt8]], blockByteCount: Int) -> LogPages {
        let (total, bases) = state.withLock { ($0.retired + counted, $0.bases) }
        func counts(of page: UInt8) -> ActivityCounts { total - (bases[page] ?? ActivityCounts()) }
        var pages: [LogPage] = []
        for code in Set(Self.counters.map(\.page)) {
            let counts = counts(of: code)
            pages.append(
                LogPage(
                    code: code,
                    parameters: Self.counters.filter { $0.page == code }.map {
                        .counter($0.parameter, counts[$0.counter])
                    }))
        }
        pages.append(
            LogPage(
                code: LogPageCode.startStopCycles,
                parameters: [
                    .list(Self.accumulatedStartStopCycles, startStopCycles.load(ordering: .relaxed).bigEndianBytes)
                ]))
        pages.append(.selfTestResults(selfTests))
        pages.append(Self.statistics(counts(of: LogPageCode.generalStatistics), blockByteCount: blockByteCount))
        // No exception, and no thermometer.
        pages.append(
            LogPage(
                code: LogPageCode.informationalExceptions,
                parameters: [.list(0x0000, [0, 0, Self.temperatureNotAvailable, 0])]))
        return LogPages(pages)
    }

    /// General Statistics and Performance (SPC-4 7.3.8): commands and blocks. Processing times are not measured: their
    /// intervals are zero, and so is the length of an interval.
    private static func statistics(_ counts: ActivityCounts, blockByteCount: Int) -> LogPage {
        let block = UInt64(max(1, blockByteCount))
        let known = [
            counts[.readCommands], counts[.writeCommands], counts[.writtenBytes] / block, counts[.readBytes] / block,
        ]
        let intervals = [UInt8](repeating: 0, count: 4 * 8)
        return LogPage(
            code: LogPageCode.generalStatistics,
            parameters: [
                .list(0x0001, known.flatMap(\.bigEndianBytes) + intervals),
                .list(0x0003, [UInt8](repeating: 0, count: 8)),
            ])
    }

    // MARK: Changes

    /// LOG SELECT resets the pages that `isNamed` picks. Returns whether there was anything to reset.
    func reset(_ counted: ActivityCounts, _ isNamed: (UInt8) -> Bool) -> Bool {
        let codes = Set(Self.counters.map(\.page) + [LogPageCode.generalStatistics]).filter(isNamed)
        state.withLock { state in
            for code in codes { state.bases[code] = state.retired + counted }
        }
        return !codes.isEmpty
    }

    /// LOG SELECT gives counters these values.
    func set(_ settings: [LogCounterSetting], _ counted: ActivityCounts) {
        state.withLock { state in
            let total = state.retired + counted
            for setting in settings {
                let known = Self.counters.first {
                    $0.page == setting.pageCode && $0.parameter == setting.parameterCode
                }
                guard let counter = known?.counter else { continue }
                state.bases[setting.pageCode, default: ActivityCounts()][counter] = total[counter] &- setting.value
            }
        }
    }
}

extension FixedWidthInteger {
    fileprivate var bigEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> (Self.bitWidth - 8 - 8 * $0)) }
    }
}

extension LogicalUnit {
    /// All log pages as they are now.
    var logPages: LogPages {
        let pages = withCounts { counts in
            logs.pages(counts, selfTests: selfTestLog, blockByteCount: blockByteCount)
        }
        return provisioningLogPage.map { LogPages(pages.pages + [$0]) } ?? pages
    }

    /// The last self-tests as their log parameters hold them, the youngest first.
    private var selfTestLog: [[UInt8]] { selfTestResults.map(\.logValue) }
}

extension SelfTestResult {
    private static let parameterHeaderByteCount = 4

    /// The log parameter behind its header.
    fileprivate var logValue: [UInt8] {
        let whole = [UInt8](allocationLength: Self.parameterByteCount) { write(parameterCode: 0, to: &$0) }
        return Array(whole.dropFirst(Self.parameterHeaderByteCount))
    }
}
