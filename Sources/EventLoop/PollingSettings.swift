// SPDX-License-Identifier: Apache-2.0

/// How a loop waits when it has nothing to do.
public enum PollingMode: String, CaseIterable, Sendable {
    /// It sleeps until the kernel wakes it.
    case off
    /// It learns from what arrives whether to sleep, to look a while without sleeping, or to let work gather.
    case adaptive
    /// It never sleeps: a whole processor each, for the shortest reaction there is.
    case busy
}

public struct PollingSettings: Equatable, Sendable {
    public static let defaultMode = PollingMode.off
    public static let budgetPercents = 0...100
    public static let defaultBudgetPercent = 25

    public var mode = defaultMode
    /// What looking in vain may cost in the adaptive mode: per cent of one processor, for each loop.
    public var budgetPercent = defaultBudgetPercent

    public init() {}
}
