// SPDX-License-Identifier: Apache-2.0

extension SCSITask {
    /// Whether the task's sense data go out in descriptor format: the D_SENSE bit of its logical unit.
    public var usesDescriptorSense: Bool { unit?.object.unit.modes.usesDescriptorSense ?? false }
}
